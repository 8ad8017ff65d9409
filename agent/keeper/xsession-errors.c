#include "agent/keeper/xsession-errors.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"

#define LIMIT_MS 1000
#define TAIL_BYTES 2048 /* below PIPE_BUF: the pipe takes it whole */

_Noreturn static void child(const struct account *owner, time_t since, int out)
{
	struct error ignored = {0};
	char path[4200], tail[TAIL_BYTES];
	struct stat st;
	ssize_t n;
	int fd;

	if (account_become(owner, &ignored) < 0 ||
	    snprintf(path, sizeof(path), "%s/.xsession-errors", owner->home) >= (int)sizeof(path))
		_exit(1);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_mtime < since)
		_exit(1);
	n = pread(fd, tail, sizeof(tail), st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0);
	_exit(n > 0 && write(out, tail, (size_t)n) == n ? 0 : 1);
}

static size_t read_answer(int fd, char *ret, size_t size)
{
	struct pollfd answer = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&answer, 1, LIMIT_MS) <= 0)
		return 0;
	do {
		n = read(fd, ret, size);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? (size_t)n : 0;
}

size_t xsession_errors_read(const struct account *owner, time_t since, char *ret, size_t size)
{
	AUTO(close_p) int in = -1;
	int fds[2];
	size_t len;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return 0;
	in = fds[0];
	pid = fork();
	if (pid == 0) {
		/* It may hang for ever: it is not to hold what others wait for the end of. */
		(void)dup2(fds[1], STDIN_FILENO);
		(void)close_range(STDERR_FILENO + 1, ~0U, 0);
		child(owner, since, STDIN_FILENO);
	}
	(void)close(fds[1]);
	if (pid < 0)
		return 0;
	len = read_answer(in, ret, size);
	(void)kill(pid, SIGKILL);
	/* One that hangs in the kernel is reaped with the others, when it comes back. */
	(void)waitpid(pid, NULL, WNOHANG);
	return len;
}
