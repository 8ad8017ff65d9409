#include "agent/keeper/seat.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>
#include <utmp.h>

#include "common/cleanup.h"
#include "common/number.h"

#define SEAT "seat0"
#define DISPLAY_MAX 65535

int seat_display_number(const char *display)
{
	size_t len = display[0] == ':' ? strspn(display + 1, "0123456789") : 0;
	char text[8];
	long long number;

	if (len == 0 || len >= sizeof(text) || (display[1 + len] && display[1 + len] != '.'))
		return -1;
	memcpy(text, display + 1, len);
	text[len] = '\0';
	return number_parse(text, 0, DISPLAY_MAX, &number) ? (int)number : -1;
}

/* --- logind ------------------------------------------------------------------------------------
 */

static int no_login(int problem, struct error *err)
{
	if (problem == -ENXIO)
		return error_set(err, ERR_UNSUPPORTED, "this host has no local seat (" SEAT ")");
	if (problem != -ENODATA) {
		errno = -problem;
		(void)error_errno(err, "ask logind for the local seat");
		return error_blame_host(err);
	}
	if (sd_seat_can_graphical(SEAT) == 0)
		return error_set(err, ERR_UNSUPPORTED,
				 "nobody is logged in at the local seat, which has no screen");
	return error_set(err, ERR_UNSUPPORTED, "nobody is logged in at the local seat");
}

/* Who somebody else is, is not the owner's business. */
static int check_user(const char *login, const struct account *owner, struct error *err)
{
	AUTO(free_p) char *class = NULL;
	uid_t uid;

	if (sd_session_get_class(login, &class) < 0 || sd_session_get_uid(login, &uid) < 0)
		return no_login(-ENODATA, err); /* it has ended this moment */
	if (strcmp(class, "greeter") == 0)
		return error_set(
			err, ERR_UNSUPPORTED,
			"nobody is logged in at the local seat: it shows the login screen");
	if (strncmp(class, "user", 4) != 0)
		return no_login(-ENODATA, err);
	if (uid != owner->uid)
		return error_set(err, ERR_UNSUPPORTED,
				 "another user than %s is logged in at the local seat",
				 owner->name);
	return 0;
}

static int check_type(struct seat *seat, const struct account *owner, struct error *err)
{
	AUTO(free_p) char *type = NULL;

	if (sd_session_get_type(seat->login, &type) < 0)
		return no_login(-ENODATA, err);
	if (strcmp(type, "wayland") == 0 || strcmp(type, "mir") == 0)
		return error_set(err, ERR_UNSUPPORTED,
				 "the desktop of user %s at the local seat runs on Wayland; a "
				 "console session needs Xorg, which the login screen may offer",
				 owner->name);
	seat->is_text = strcmp(type, "x11") != 0;
	return 0;
}

static int find_logind(struct seat *seat, const struct account *owner, struct error *err)
{
	int rc = sd_login_monitor_new("session", &seat->monitor);

	if (rc >= 0)
		rc = seat->monitor_fd = sd_login_monitor_get_fd(seat->monitor);
	if (rc < 0) {
		errno = -rc;
		seat->monitor_fd = -1;
		(void)error_errno(err, "watch logind");
		return error_blame_host(err);
	}
	/* what changes from here on is told by the monitor */
	rc = sd_seat_get_active(SEAT, &seat->login, NULL);
	if (rc < 0)
		return no_login(rc, err);
	seat->uid = owner->uid;
	if (check_user(seat->login, owner, err) < 0 || check_type(seat, owner, err) < 0)
		return -1;
	if (seat_is_over(seat))
		return error_set(err, ERR_UNSUPPORTED, "user %s is logging out of the local seat",
				 owner->name);
	if (sd_session_get_display(seat->login, &seat->display) < 0)
		seat->display = NULL; /* usual with GDM, and with startx */
	return 0;
}

/* --- utmp --------------------------------------------------------------------------------------
 */

/* A field is not ended where it is full. */
#define COPY_FIELD(to, field) (void)snprintf(to, sizeof(to), "%.*s", (int)sizeof(field), field)

/* The local display of an entry, "" if it is none. */
static void display_of(const struct utmp *entry, char *ret, size_t size)
{
	char line[sizeof(entry->ut_line) + 1], host[sizeof(entry->ut_host) + 1];

	COPY_FIELD(line, entry->ut_line);
	COPY_FIELD(host, entry->ut_host);
	ret[0] = '\0';
	if (seat_display_number(line) >= 0)
		(void)snprintf(ret, size, "%s", line);
	else if (seat_display_number(host) >= 0)
		(void)snprintf(ret, size, "%s", host);
}

static bool is_of(const struct utmp *entry, const struct account *owner)
{
	return strncmp(entry->ut_user, owner->name, sizeof(entry->ut_user)) == 0;
}

static int find_utmp(struct seat *seat, const struct account *owner, struct error *err)
{
	/* Read as a file: getutent(3) would wait for the locks of others. */
	AUTO(fclose_p) FILE *file = fopen("/run/utmp", "re");
	bool has_other = false;
	char display[sizeof(((struct utmp *)NULL)->ut_host) + 1];
	struct utmp entry;

	while (file && fread(&entry, sizeof(entry), 1, file) == 1) {
		display_of(&entry, display, sizeof(display));
		if (entry.ut_type != USER_PROCESS || !display[0])
			continue;
		/* an entry outlives the process of a session that did not end in order */
		seat->pidfd = pidfd_open(entry.ut_pid, 0);
		if (seat->pidfd >= 0 && is_of(&entry, owner)) {
			seat->uid = owner->uid;
			seat->display = strdup(display);
			return seat->display ? 0 : error_oom(err);
		}
		has_other = has_other || seat->pidfd >= 0;
		close_p(&seat->pidfd);
	}
	if (has_other)
		return error_set(err, ERR_UNSUPPORTED,
				 "another user than %s is logged in at this host's X display",
				 owner->name);
	return error_set(err, ERR_UNSUPPORTED,
			 "nobody is logged in at an X display of this host (no logind runs, and "
			 "utmp has none)");
}

/* -----------------------------------------------------------------------------------------------
 */

int seat_find(struct seat *ret, const struct account *owner, struct error *err)
{
	*ret = SEAT_NONE;
	/* the folder that sd-login(3) names to find out whether logind runs */
	return access("/run/systemd/seats", F_OK) == 0 ? find_logind(ret, owner, err)
						       : find_utmp(ret, owner, err);
}

bool seat_is_over(struct seat *seat)
{
	struct pollfd login = {.fd = seat->pidfd, .events = POLLIN};
	AUTO(free_p) char *state = NULL;
	uid_t uid;

	if (seat->monitor)
		(void)sd_login_monitor_flush(seat->monitor);
	if (!seat->login)
		return seat->pidfd >= 0 && poll(&login, 1, 0) > 0;
	return sd_session_get_state(seat->login, &state) < 0 || strcmp(state, "closing") == 0 ||
	       sd_session_get_uid(seat->login, &uid) < 0 || uid != seat->uid;
}

void seat_done(struct seat *seat)
{
	free(seat->login);
	free(seat->display);
	(void)sd_login_monitor_unref(seat->monitor);
	close_p(&seat->pidfd);
	*seat = SEAT_NONE;
}
