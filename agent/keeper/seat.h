/**
 * The local seat: who is logged in at the screen and the keyboard of this host.
 *
 * What logind says of seat0, or elogind, whose files are the same. Where neither runs it is what utmp
 * has of a login at a local X display: xdm and its like note one with the display as its line, others
 * as its host. Source: sd-login(3), utmp(5).
 */
#ifndef AGENT_KEEPER_SEAT_H
#define AGENT_KEEPER_SEAT_H

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-login.h>

#include "agent/account.h"
#include "common/error.h"

struct seat {
	char *login;   /* logind's id of it; NULL: it is utmp's */
	char *display; /* ":0"; NULL: not told */
	bool is_text;  /* the login is one at a text console, from which X may have been started */
	uid_t uid;
	sd_login_monitor *monitor; /* NULL: none */
	int monitor_fd;            /* something has changed: seat_is_over() may be true; -1: none */
	int pidfd;                 /* of the process that utmp names; -1: none */
};

#define SEAT_NONE ((struct seat){.monitor_fd = -1, .pidfd = -1})

/**
 * Find the login of @owner. End with seat_done().
 *
 * Errors: ERR_UNSUPPORTED with a sentence that says what is there instead: no seat, nobody, the login
 * screen, somebody else, Wayland. That is nothing that an administrator would have to mend, and on
 * another host it may be otherwise.
 */
int seat_find(struct seat *ret, const struct account *owner, struct error *err);

/** Whether the user has logged out. Takes note of what monitor_fd told. */
bool seat_is_over(struct seat *seat);

void seat_done(struct seat *seat);

/** The number of a local display, as in ":0" and ":0.1"; -1 for everything else, such as "host:10.0". */
int seat_display_number(const char *display);

#endif
