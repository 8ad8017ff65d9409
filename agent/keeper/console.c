#include "agent/keeper/console.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "common/cleanup.h"

/* For the child. */
struct plan {
	const struct seat *seat;
	const struct account *owner;
};

/* The child needs no program for this: it answers and is done. */
static int find(void *data, char ***ret_argv, struct error *err)
{
	const struct plan *plan = data;
	struct local_display found = {0};

	(void)ret_argv;
	_Static_assert(sizeof(found) <= PIPE_BUF, "it is written whole");
	if (local_display_find(&found, plan->seat, plan->owner, err) < 0)
		return -1;
	_exit(write(PROGRAM_PASSED_FD, &found, sizeof(found)) == sizeof(found) ? 0 : 1);
}

int console_start(struct console *console, const struct program_context *context, int log_fd,
		  struct error *err)
{
	AUTO(close_p) int write_fd = -1;
	struct plan plan = {.seat = &console->seat, .owner = context->owner};
	int fds[2];

	if (seat_find(&console->seat, context->owner, err) < 0)
		return -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, "make a pipe");
	console->answer_fd = fds[0];
	write_fd = fds[1];
	(void)snprintf(console->finder.name, sizeof(console->finder.name), "display finder");
	return program_start(&console->finder, context,
			     &(struct program_start){.source = "console",
						     .log_fd = log_fd,
						     .passed_fd = write_fd,
						     .prepare = find,
						     .data = &plan},
			     err);
}

/* The number of a process that has ended may be another's. */
static int watch_server(struct console *console, const struct local_display *found,
			struct error *err)
{
	char name[sizeof(found->server_name)];

	if (found->server <= 0)
		return 0;
	console->server_pidfd = pidfd_open(found->server, 0);
	local_display_server_name(found->server, name);
	if (console->server_pidfd < 0 && errno != ESRCH)
		return error_errno(err, "watch the X server of display :%d", found->number);
	if (console->server_pidfd < 0 || strcmp(name, found->server_name) != 0)
		return error_set(err, ERR_UNSUPPORTED, "the X server of display :%d has ended",
				 found->number);
	return 0;
}

int console_read_display(struct console *console, struct environment *environment,
			 struct error *err)
{
	struct local_display found;
	ssize_t n = read(console->answer_fd, &found, sizeof(found));
	char display[16];

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	close_p(&console->answer_fd);
	if (n != sizeof(found))
		return 0; /* its other descriptor, or its end, tells why */
	found.authority[sizeof(found.authority) - 1] = '\0';
	found.server_name[sizeof(found.server_name) - 1] = '\0';
	(void)snprintf(display, sizeof(display), ":%d", found.number);
	if (watch_server(console, &found, err) < 0 ||
	    environment_set(environment, "DISPLAY", display, err) < 0 ||
	    (found.authority[0] &&
	     environment_set(environment, "XAUTHORITY", found.authority, err) < 0))
		return -1;
	console->display = found.number;
	return 0;
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

bool console_is_over(struct console *console, const char *owner, char *ret_reason, size_t size)
{
	/* both are over when somebody logs out; that is the better reason */
	if (seat_is_over(&console->seat))
		(void)snprintf(ret_reason, size, "user %s has logged out of the local seat", owner);
	else if (is_readable(console->server_pidfd))
		(void)snprintf(ret_reason, size, "the X server of the local seat (:%d) has ended",
			       console->display);
	else
		return false;
	return true;
}

void console_done(struct console *console)
{
	seat_done(&console->seat);
	program_done(&console->finder);
	close_p(&console->answer_fd);
	close_p(&console->server_pidfd);
	*console = CONSOLE_NONE;
}
