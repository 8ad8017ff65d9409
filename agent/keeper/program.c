#include "agent/keeper/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"

#define LEAST_OWN_FD 10 /* the child's own descriptors are out of the way of those it hands on */

static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int move_fd(int *fd, struct error *err)
{
	int moved;

	if (*fd < 0)
		return 0;
	moved = fcntl(*fd, F_DUPFD_CLOEXEC, LEAST_OWN_FD);
	if (moved < 0)
		return error_errno(err, "duplicate a descriptor");
	*fd = moved;
	return 0;
}

struct child_fds {
	int exec; /* where errors are told */
	int output;
	int passed;
};

static int arrange_fds(struct child_fds *fds, struct error *err)
{
	AUTO(close_p) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0)
		return error_errno(err, "open /dev/null");
	if (move_fd(&null, err) < 0 || move_fd(&fds->output, err) < 0 ||
	    move_fd(&fds->passed, err) < 0)
		return -1;
	if (close_range(PROGRAM_PASSED_FD, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return error_errno(err, "close_range");
	if (dup2(null, STDIN_FILENO) < 0 || dup2(fds->output, STDOUT_FILENO) < 0 ||
	    dup2(fds->output, STDERR_FILENO) < 0 ||
	    (fds->passed >= 0 && dup2(fds->passed, PROGRAM_PASSED_FD) < 0))
		return error_errno(err, "dup2");
	return 0;
}

static int execute(char **argv, const struct program_context *context, struct error *err)
{
	(void)execve(argv[0], argv, context->environment->vars);
	if (errno == ENOEXEC)
		return error_set(err, ERR_UNSUPPORTED,
				 "cannot run %s: neither a program nor a script "
				 "that begins with #!",
				 argv[0]);
	if (errno == ENOENT && access(argv[0], F_OK) == 0)
		return error_set(err, ERR_NOT_FOUND,
				 "cannot run %s: its interpreter does not exist", argv[0]);
	if (errno == E2BIG)
		return error_set(err, ERR_TOO_LARGE, "cannot run %s: arguments too long", argv[0]);
	return error_errno(err, "cannot run %s", argv[0]);
}

/* What has nothing to do with what is executed. */
static int arrange_child(const struct program_context *context, struct child_fds *fds,
			 struct error *err)
{
	if (move_fd(&fds->exec, err) < 0)
		return -1;
	reset_signals();
	if (setsid() < 0)
		return error_errno(err, "setsid");
	if (arrange_fds(fds, err) < 0 || pam_apply_limits(context->pam, err) < 0)
		return -1;
	return account_become(context->owner, err);
}

/* Everything between fork and exec; comes back only if it failed. */
static int run_child(const struct program_context *context, const struct program_start *start,
		     struct child_fds *fds, struct error *err)
{
	char **argv = NULL;

	if (arrange_child(context, fds, err) < 0)
		return error_blame_host(err);
	if (chdir(context->owner->home) < 0)
		return error_errno(err, "go to the home folder %s", context->owner->home);
	if (start->prepare(start->data, &argv, err) < 0)
		return -1;
	if (!argv)
		_exit(0); /* it was all that there was to do */
	(void)execute(argv, context, err);
	return start->is_requested ? -1 : error_blame_host(err);
}

_Noreturn static void child(const struct program_context *context,
			    const struct program_start *start, struct child_fds *fds,
			    bool is_inside, struct error *err)
{
	if (is_inside)
		(void)run_child(context, start, fds, err);
	else
		(void)error_blame_host(err);
	if (write(fds->exec, err, sizeof(*err)) < 0)
		_exit(126);
	_exit(127);
}

int program_start(struct program *program, const struct program_context *context,
		  const struct program_start *start, struct error *err)
{
	AUTO(close_p) int output_fd = -1;
	AUTO(close_p) int write_fd = -1;
	struct child_fds fds;
	int pipe_fds[2];
	bool is_child = false;
	pid_t pid;

	if (output_init(&program->output, start->source, start->log_fd, &output_fd, err) < 0)
		return -1;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, "make a pipe");
	program->exec_fd = pipe_fds[0];
	write_fd = pipe_fds[1];
	fds = (struct child_fds){.exec = write_fd, .output = output_fd, .passed = start->passed_fd};
	pid = cgroup_fork(context->cgroup, &is_child, err);
	if (is_child)
		child(context, start, &fds, pid == 0, err);
	program->pid = pid < 0 ? 0 : pid;
	return pid < 0 ? -1 : 0;
}

bool program_runs(struct program *program, struct error *err)
{
	struct error told;
	ssize_t n;

	/* One write of the child, below PIPE_BUF: it comes whole. */
	do {
		n = read(program->exec_fd, &told, sizeof(told));
	} while (n < 0 && errno == EINTR);
	close_p(&program->exec_fd);
	if (n == 0) {
		program->started = true;
		return true;
	}
	if (n != sizeof(told) || told.code <= ERR_NONE || told.code >= ERR_CODE_COUNT) {
		(void)error_set(err, ERR_SYSTEM, "cannot read from the new process");
		return false;
	}
	told.message[sizeof(told.message) - 1] = '\0';
	*err = told;
	return false;
}

void program_describe_status(int status, char *ret, size_t size)
{
	if (WIFSIGNALED(status))
		(void)snprintf(ret, size, "killed by signal %d", WTERMSIG(status));
	else
		(void)snprintf(ret, size, "exit status %d", WEXITSTATUS(status));
}

void program_done(struct program *program)
{
	close_p(&program->exec_fd);
	if (program->output.fd >= 0)
		output_done(&program->output);
}
