#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/keeper/ending.h"
#include "agent/keeper/processes.h"
#include "common/cleanup.h"

#define HAS(text, value) processes_environ_has(text, sizeof(text) - 1, "DCV_SESSION_ID", value)

static void an_environment_has_exactly_this_value(void **state)
{
	(void)state;
	assert_true(HAS("A=1\0DCV_SESSION_ID=s1\0B=2\0", "s1"));
	assert_true(HAS("DCV_SESSION_ID=s1", "s1")); /* the last one without an end */
	assert_false(HAS("DCV_SESSION_ID=s10\0", "s1"));
	assert_false(HAS("DCV_SESSION_ID=s\0", "s1"));
	assert_false(HAS("XDCV_SESSION_ID=s1\0", "s1"));
	assert_false(HAS("A=DCV_SESSION_ID=s1\0", "s1"));
	assert_false(HAS("", "s1"));
	assert_false(HAS("\0\0\0", "s1"));
}

/* A child that ends when it is told to, or only when it is killed. */
static pid_t start_child(void (*on_term)(int number))
{
	int fds[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGTERM, on_term);
		if (write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_true(pid > 0);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return pid;
}

static void end_all(struct ending *ending)
{
	while (!ending_advance(ending)) {
		(void)waitpid(-1, NULL, WNOHANG);
		(void)usleep(1000);
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void children_are_listed(void **state)
{
	pid_t child = start_child(SIG_DFL), children[16];

	(void)state;
	assert_int_equal(processes_children(children, 16), 1);
	assert_int_equal(children[0], child);
	(void)kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(processes_children(children, 16), 0);
}

static void who_listens_is_told_and_who_does_not_is_killed(void **state)
{
	struct cgroup none = {0};
	struct ending ending = {.processes = {.cgroup = &none,
					      .session_id = "no-such-session",
					      .owner = (uid_t)-2,
					      .with_descendants = true}};
	pid_t polite = start_child(SIG_DFL), deaf = start_child(SIG_IGN), spared;

	(void)state;
	spared = start_child(SIG_DFL);
	assert_int_equal(processes_signal(&ending.processes, SIGTERM, spared), 2);
	assert_int_equal(ending.processes.n_watched, 2);
	assert_int_equal(waitpid(polite, NULL, 0), polite);
	assert_int_equal(processes_watch(&ending.processes), 1);
	assert_int_equal(kill(spared, 0), 0);
	ending_begin(&ending, ENDING_ALL, 0, 0);
	end_all(&ending);
	assert_int_equal(kill(deaf, 0), -1);
	assert_int_equal(kill(spared, 0), -1);
	processes_forget(&ending.processes);
}

/* Runs until it has used some CPU time, then does as it is told. */
static pid_t start_busy_child(bool does_end)
{
	struct timespec used = {0};
	int fds[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		while (used.tv_nsec < 60000000 && used.tv_sec == 0)
			(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
		if (write(fds[1], "x", 1) != 1 || does_end)
			_exit(0);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return pid;
}

static void the_time_of_the_living_and_of_the_ended_counts(void **state)
{
	struct cgroup none = {0};
	const struct processes processes = {.cgroup = &none,
					    .session_id = "no-such-session",
					    .owner = getuid(),
					    .with_descendants = true};
	long long before = processes_cpu_ms(&processes);
	pid_t living, ended;

	(void)state;
	assert_true(before >= 0);
	living = start_busy_child(false);
	assert_true(processes_cpu_ms(&processes) >= before + 50);
	ended = start_busy_child(true);
	assert_int_equal(waitpid(ended, NULL, 0), ended);
	assert_true(processes_cpu_ms(&processes) >= before + 100);
	(void)kill(living, SIGKILL);
	assert_int_equal(waitpid(living, NULL, 0), living);
	assert_true(processes_cpu_ms(&processes) >= before + 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_environment_has_exactly_this_value),
		cmocka_unit_test(children_are_listed),
		cmocka_unit_test(who_listens_is_told_and_who_does_not_is_killed),
		cmocka_unit_test(the_time_of_the_living_and_of_the_ended_counts),
	};

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
