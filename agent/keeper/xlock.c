#include "agent/keeper/xlock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"

#define XLOCK_FILE "x.lock"

_Noreturn static void wait_for_lock(int fd, pid_t keeper)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(1);
	_exit(flock(fd, LOCK_EX) < 0);
}

int xlock_request(struct xlock *lock, const char *run_dir, struct error *err)
{
	AUTO(free_p) char *path = NULL;
	pid_t keeper = getpid();

	if (asprintf(&path, "%s/" XLOCK_FILE, run_dir) < 0) {
		path = NULL;
		return error_oom(err);
	}
	lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock->fd < 0)
		return error_errno(err, "open %s", path);
	lock->is_held = flock(lock->fd, LOCK_EX | LOCK_NB) == 0;
	if (lock->is_held)
		return 0;
	if (errno != EWOULDBLOCK)
		return error_errno(err, "lock %s", path);
	lock->helper = fork();
	if (lock->helper == 0)
		wait_for_lock(lock->fd, keeper);
	if (lock->helper < 0) {
		lock->helper = 0;
		return error_errno(err, "fork");
	}
	return 0;
}

int xlock_helper_ended(struct xlock *lock, int status, struct error *err)
{
	lock->helper = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, ERR_SYSTEM, "the wait for " XLOCK_FILE " was interrupted");
	lock->is_held = true;
	return 0;
}

int xlock_wait(struct xlock *lock, struct error *err)
{
	int status;

	if (lock->is_held)
		return 0;
	if (waitpid(lock->helper, &status, 0) < 0)
		return error_errno(err, "wait for " XLOCK_FILE);
	return xlock_helper_ended(lock, status, err);
}

void xlock_release(struct xlock *lock)
{
	if (lock->helper) {
		(void)kill(lock->helper, SIGKILL);
		(void)waitpid(lock->helper, NULL, 0);
	}
	/* Not by close alone: a child that has not yet executed its program shares the open file.
	 */
	if (lock->fd >= 0) {
		(void)flock(lock->fd, LOCK_UN);
		(void)close(lock->fd);
	}
	*lock = XLOCK_NONE;
}
