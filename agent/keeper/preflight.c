/* The tries are made by a child, for two reasons: they are to be made as the owner, and a folder on a
 * server that does not answer would hold the keeper for ever. */
#include "agent/keeper/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/keeper/mounts.h"
#include "common/cleanup.h"

#define TRIAL_BYTES 16384
#define GLANCE_MS 250 /* for folders that are made, which no event tells */

static long long now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* --- in the child ------------------------------------------------------------------------------
 */

/* Who makes a folder gives it to its owner a moment later. */
static bool is_still_made(const char *path)
{
	return faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) < 0 && errno == EACCES;
}

/* A mount is an event; something that asks for a folder may also make one come (autofs). */
static bool wait_for_folder(const char *path, struct stat *ret, int patience_ms)
{
	AUTO(close_p) int mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	struct pollfd event = {.fd = mounts, .events = POLLPRI};
	long long deadline_ms = now_ms() + patience_ms;
	bool was_missing = false;

	for (;;) {
		bool is_there = stat(path, ret) == 0;

		if (is_there && !(was_missing && is_still_made(path)))
			return true;
		if (!is_there && errno != ENOENT && errno != ENOTDIR && errno != EHOSTDOWN)
			return false;
		if (now_ms() >= deadline_ms)
			return is_there;
		was_missing = true;
		(void)poll(&event, 1, GLANCE_MS);
	}
}

/* @error_number: why the folder cannot be looked at. */
static int explain_missing(const struct account *owner, int error_number, struct error *err)
{
	char why[256];

	if (error_number != ENOENT && error_number != ENOTDIR) {
		errno = error_number;
		(void)error_errno(err, "look at the home folder of user %s (%s)", owner->name,
				  owner->home);
		return error_blame_host(err); /* a server that does not answer */
	}
	if (mounts_missing(owner->home, "/etc/fstab", "/proc/self/mounts", why, sizeof(why)))
		return error_set(err, ERR_SYSTEM,
				 "the home folder of user %s is not mounted (%s): %s", owner->name,
				 owner->home, why);
	return error_set(err, ERR_NOT_FOUND, "the home folder of user %s does not exist (%s)",
			 owner->name, owner->home);
}

static int check_home(const struct account *owner, int patience_ms, struct error *err)
{
	struct stat st;

	if (owner->home[0] != '/')
		return explain_missing(owner, ENOENT, err);
	if (!wait_for_folder(owner->home, &st, patience_ms))
		return explain_missing(owner, errno, err);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERR_NOT_FOUND, "the home of user %s is not a folder (%s)",
				 owner->name, owner->home);
	if (chdir(owner->home) < 0)
		return error_errno(err, "user %s cannot enter the home folder %s", owner->name,
				   owner->home);
	return 0;
}

/* A file that has no name, where the file system knows such, so that nothing is left of it. */
static int open_trial(const char *folder)
{
	int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	char path[4200];

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	if (snprintf(path, sizeof(path), "%s/.dcv-session-XXXXXX", folder) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	return fd;
}

/* Room is taken when it is written, or, over a network, when the file is closed. */
static int write_trial(const char *folder)
{
	static const char bytes[TRIAL_BYTES];
	int fd = open_trial(folder);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, bytes, sizeof(bytes));
	if (n >= 0 && n < (ssize_t)sizeof(bytes))
		errno = ENOSPC;
	if (n != (ssize_t)sizeof(bytes)) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
		return -1;
	}
	return close(fd);
}

/* @what: "the home folder of user mira"; @is_owners: and not the host's. */
static int check_room(const char *folder, const char *what, bool is_owners, struct error *err)
{
	if (write_trial(folder) == 0)
		return 0;
	if (errno == EDQUOT)
		return error_set(err, ERR_DENIED, "the quota is used up in %s (%s)", what, folder);
	if (errno == ENOSPC)
		return error_set(err, ERR_SYSTEM, "%s is full (%s)", what, folder);
	if (errno == EACCES || errno == EPERM || errno == EROFS)
		return error_set(err, is_owners && errno != EROFS ? ERR_DENIED : ERR_SYSTEM,
				 "%s cannot be written (%s): %s", what, folder, strerror(errno));
	(void)error_errno(err, "write to %s (%s)", what, folder);
	return error_blame_host(err);
}

static int try_folders(const struct account *owner, int patience_ms, struct error *err)
{
	char home[128];

	(void)snprintf(home, sizeof(home), "the home folder of user %.80s", owner->name);
	if (account_become(owner, err) < 0)
		return error_blame_host(err);
	if (check_home(owner, patience_ms, err) < 0 || check_room(owner->home, home, true, err) < 0)
		return -1;
	return check_room("/tmp", "the folder for temporary files", false, err);
}

/* It may hang here for ever, when the keeper is long gone: whoever talked to it sees that only once
 * nobody holds the other end. */
static void let_go_of_all_but(int fd)
{
	if (fd > STDERR_FILENO + 1)
		(void)close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
	(void)close_range((unsigned)fd + 1, ~0U, 0);
}

_Noreturn static void child(const struct account *owner, int patience_ms, int fd)
{
	struct error err = {0};

	let_go_of_all_but(fd);
	(void)signal(SIGXFSZ, SIG_IGN); /* a limit is told, and no end */
	(void)try_folders(owner, patience_ms, &err);
	_exit(write(fd, &err, sizeof(err)) == (ssize_t)sizeof(err) ? 0 : 1);
}

/* --- in the keeper -----------------------------------------------------------------------------
 */

/* One write below PIPE_BUF: it comes whole. */
static int read_verdict(const struct account *owner, int fd, int limit_ms, struct error *err)
{
	struct pollfd answer = {.fd = fd, .events = POLLIN};
	long long deadline_ms = now_ms() + limit_ms;
	struct error told;
	int n;

	do {
		n = poll(&answer, 1, (int)(deadline_ms - now_ms()));
	} while (n < 0 && errno == EINTR && now_ms() < deadline_ms);
	if (n <= 0)
		return error_set(err, ERR_TIMEOUT,
				 "the home folder of user %s does not answer (%s)", owner->name,
				 owner->home);
	if (read(fd, &told, sizeof(told)) != sizeof(told) || told.code >= ERR_CODE_COUNT)
		return error_set(err, ERR_SYSTEM, "cannot try the folders of user %s", owner->name);
	if (told.code == ERR_NONE)
		return 0;
	told.message[sizeof(told.message) - 1] = '\0';
	*err = told;
	return -1;
}

int preflight(const struct account *owner, int patience_ms, struct error *err)
{
	AUTO(close_p) int answer = -1;
	int pipe_fds[2];
	int result;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, "make a pipe");
	answer = pipe_fds[0];
	pid = fork();
	if (pid == 0)
		child(owner, patience_ms, pipe_fds[1]);
	(void)close(pipe_fds[1]);
	if (pid < 0)
		return error_errno(err, "fork");
	result = read_verdict(owner, answer, 2 * patience_ms, err);
	(void)kill(pid, SIGKILL);
	/* One that hangs in the kernel cannot be reaped now; it is when it comes back, with the others. */
	(void)waitpid(pid, NULL, result < 0 && err->code == ERR_TIMEOUT ? WNOHANG : 0);
	return result;
}
