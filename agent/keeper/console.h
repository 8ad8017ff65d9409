/**
 * What a console session holds on to: the login at the local seat, and its X server, which are the
 * user's. The keeper watches them, and ends, starts and owns none of them.
 */
#ifndef AGENT_KEEPER_CONSOLE_H
#define AGENT_KEEPER_CONSOLE_H

#include "agent/keeper/environment.h"
#include "agent/keeper/local-display.h"
#include "agent/keeper/program.h"
#include "agent/keeper/seat.h"

struct console {
	struct seat seat;
	struct program finder; /* looks for the display, as the owner */
	int answer_fd;         /* what it found; -1 before and after */
	int display;           /* -1: not known */
	int server_pidfd;      /* readable when the X server has ended; -1: it cannot be watched */
};

#define CONSOLE_NONE                                                                               \
	((struct console){.seat = SEAT_NONE,                                                       \
			  .finder = PROGRAM_NONE,                                                  \
			  .answer_fd = -1,                                                         \
			  .display = -1,                                                           \
			  .server_pidfd = -1})

/**
 * Look for the login, then for its display: answer_fd and finder.exec_fd tell more.
 *
 * Errors: as those of seat_find().
 */
int console_start(struct console *console, const struct program_context *context, int log_fd,
		  struct error *err);

/** answer_fd is readable: take the answer, and put DISPLAY and XAUTHORITY into the environment. */
int console_read_display(struct console *console, struct environment *environment,
			 struct error *err);

/**
 * Whether it is over, and why. To be asked when seat.monitor_fd, seat.pidfd or server_pidfd is
 * readable.
 */
bool console_is_over(struct console *console, const char *owner, char *ret_reason, size_t size);

void console_done(struct console *console);

#endif
