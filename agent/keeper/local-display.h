/**
 * The X display of a login at the local seat, and the way in: found, and tried, by a process that has
 * become the owner. What the owner cannot read or reach is not to be had through us either.
 *
 * Where the authority file lies is known to the owner's programs only, which have it in their
 * environment: GDM keeps it in /run/user/UID, LightDM and SDDM in the home folder, startx somewhere
 * below /tmp. So candidates are, in this order: what the programs of the login have, the oldest
 * first; ~/.Xauthority; the -auth argument of the X server; none at all. A file counts if it is a
 * regular one and no link, the owner's or root's, and nobody else may write to it. The X server must
 * be the owner's or root's, or somebody else could wait for our cookie at a display that is free.
 */
#ifndef AGENT_KEEPER_LOCAL_DISPLAY_H
#define AGENT_KEEPER_LOCAL_DISPLAY_H

#include "agent/account.h"
#include "agent/keeper/seat.h"
#include "common/error.h"

#define LOCAL_DISPLAY_PATH_MAX 1024

struct local_display {
	int number;
	char authority[LOCAL_DISPLAY_PATH_MAX]; /* "": the server lets the owner in without */
	pid_t server;                           /* 0: not to be seen from here */
	char server_name[16];                   /* of the process, as /proc/PID/comm has it */
};

/**
 * Find the one that lets us in. Asks X servers, which may hang.
 *
 * Errors: ERR_UNSUPPORTED when there is none, or it is Wayland's after all.
 */
int local_display_find(struct local_display *ret, const struct seat *seat,
		       const struct account *owner, struct error *err);

/** The name of a process; "" if there is no such. */
void local_display_server_name(pid_t pid, char ret[16]);

/**
 * The parts of the text of an environ file that tell of a display of the login @login, or of
 * @display; either may be NULL. -1 if it tells of none. *ret_authority points into @text, which ends
 * with a NUL byte after @len; "" if it has none.
 */
int local_display_read_environ(const char *text, size_t len, const char *login, int display,
			       const char **ret_authority);

#endif
