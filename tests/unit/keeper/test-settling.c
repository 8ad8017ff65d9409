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
#include <unistd.h>

#include "agent/keeper/settling.h"

#define SETTLE_MS 5000

/* Look until it has started, at most @limit_ms; when it had. */
static long long started_at(bool is_open, bool is_busy, long long settle_ms, long long limit_ms)
{
	struct settling s;

	settling_begin(&s, settle_ms, 1000);
	assert_int_equal(s.next_look_ms, 1000);
	for (long long now = 1000; now <= 1000 + limit_ms; now = s.next_look_ms) {
		if (settling_look(&s, now, is_open, is_busy))
			return now - 1000;
	}
	return -1;
}

static void what_rests_has_started_after_the_settle_time(void **state)
{
	(void)state;
	assert_int_equal(started_at(false, false, SETTLE_MS, 60000), SETTLE_MS);
}

static void what_opens_the_display_and_stays_has_started(void **state)
{
	(void)state;
	assert_int_equal(started_at(true, true, SETTLE_MS, 60000),
			 (SETTLING_LOOKS_OPEN - 1) * SETTLING_LOOK_MS);
}

static void what_computes_and_opens_nothing_has_not_started(void **state)
{
	(void)state;
	assert_int_equal(started_at(false, true, SETTLE_MS, 600000), -1);
}

static void without_a_settle_time_it_has_started_at_once(void **state)
{
	(void)state;
	assert_int_equal(started_at(false, true, 0, 1000), 0);
}

static void what_opens_the_display_for_a_moment_has_not_started(void **state)
{
	struct settling s;
	long long now = 0;

	(void)state;
	settling_begin(&s, SETTLE_MS, now);
	for (int i = 0; now < SETTLE_MS; now = s.next_look_ms, i++)
		assert_false(settling_look(&s, now, i % SETTLING_LOOKS_OPEN != 0, false));
}

static void what_was_slow_has_started_when_it_comes_to_rest(void **state)
{
	struct settling s;
	long long now = 0;

	(void)state;
	settling_begin(&s, SETTLE_MS, now);
	for (; now < 3 * SETTLE_MS; now = s.next_look_ms)
		assert_false(settling_look(&s, now, false, true));
	while (!settling_look(&s, now, false, false))
		now = s.next_look_ms;
	assert_in_range(now, 3 * SETTLE_MS, 4 * SETTLE_MS);
}

static bool is_open(const char *table, int display)
{
	char path[] = "/tmp/test-settling-XXXXXX";
	int fd = mkstemp(path);
	bool result;

	assert_int_equal(write(fd, table, strlen(table)), strlen(table));
	(void)close(fd);
	result = settling_display_is_open(path, display);
	(void)unlink(path);
	return result;
}

#define HEAD "Num       RefCount Protocol Flags    Type St Inode Path\n"
#define LISTENS "0000000000000000: 00000002 00000000 00010000 0001 01 111 "
#define CONNECTED "0000000000000000: 00000003 00000000 00000000 0001 03 112 "

static void clients_are_told_from_the_server_and_from_those_of_others(void **state)
{
	(void)state;
	assert_true(is_open(HEAD CONNECTED "/tmp/.X11-unix/X5\n", 5));
	assert_true(
		is_open(HEAD LISTENS "/tmp/.X11-unix/X5\n" CONNECTED "@/tmp/.X11-unix/X5\n", 5));
	assert_false(is_open(HEAD LISTENS "/tmp/.X11-unix/X5\n" CONNECTED "\n", 5));
	assert_false(is_open(HEAD CONNECTED "/tmp/.X11-unix/X55\n", 5));
	assert_false(is_open(HEAD CONNECTED "/tmp/.X11-unix/X5\n", 55));
	assert_false(is_open("nonsense\n\n: : : : : : : :\n", 5));
	assert_false(settling_display_is_open("/is/not/there", 5));
}

static void a_program_that_computes_is_told_from_one_that_waits(void **state)
{
	pid_t parent = fork();
	int n_busy = 0;

	(void)state;
	if (parent == 0) { /* it waits for a child that computes */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (volatile unsigned i = 0;; i++)
				;
		}
		(void)pause();
		_exit(0);
	}
	for (int i = 0; i < 100000 && n_busy == 0; i++)
		n_busy += settling_is_busy(parent);
	assert_true(n_busy > 0);
	(void)kill(parent, SIGKILL);
	(void)waitpid(parent, NULL, 0);
	assert_false(settling_is_busy(0)); /* there is none */
	parent = fork();
	if (parent == 0) {
		(void)pause();
		_exit(0);
	}
	while (settling_is_busy(parent))
		(void)usleep(1000);
	assert_false(settling_is_busy(parent));
	(void)kill(parent, SIGKILL);
	(void)waitpid(parent, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_rests_has_started_after_the_settle_time),
		cmocka_unit_test(what_opens_the_display_and_stays_has_started),
		cmocka_unit_test(what_computes_and_opens_nothing_has_not_started),
		cmocka_unit_test(without_a_settle_time_it_has_started_at_once),
		cmocka_unit_test(what_opens_the_display_for_a_moment_has_not_started),
		cmocka_unit_test(what_was_slow_has_started_when_it_comes_to_rest),
		cmocka_unit_test(clients_are_told_from_the_server_and_from_those_of_others),
		cmocka_unit_test(a_program_that_computes_is_told_from_one_that_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
