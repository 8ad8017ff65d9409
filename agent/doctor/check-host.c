/* Room on disks, and the programs that sessions are made of. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/disk.h"
#include "agent/doctor/doctor.h"
#include "agent/engines/engine.h"
#include "agent/program-path.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/finding.h"

#define MIB (1024.0 * 1024)

/* Below these a desktop fails soon, or right away. /run is small everywhere. */
static const struct room {
	const char *folder;
	double few_mib, none_mib;
} rooms[] = {{"/home", 1024, 64}, {"/tmp", 256, 32}, {"/run", 32, 4}};

static void check_room(struct doctor *d, const struct room *room, double mib)
{
	enum finding_state state = mib < room->none_mib  ? FINDING_ERROR
				   : mib < room->few_mib ? FINDING_WARNING
							 : FINDING_OK;

	finding_add(d->findings, "disk", state,
		    state == FINDING_OK ? NULL : "Clear it up or make it larger: df -h, du -xh.",
		    "%s has %.0f MiB free%s", room->folder, mib,
		    state == FINDING_ERROR ? ": sessions do not start" : "");
}

void doctor_check_disks(struct doctor *d)
{
	json_auto_t *free_bytes = disk_free_bytes("");

	for (size_t i = 0; i < ARRAY_SIZE(rooms); i++) {
		const json_t *bytes = json_object_get(free_bytes, rooms[i].folder);

		if (bytes)
			check_room(d, &rooms[i], (double)json_integer_value(bytes) / MIB);
		else
			finding_add(d->findings, "disk", FINDING_NOT_CHECKED,
				    "Name an owner with --owner: their home folder is tried.",
				    "%s is not here, or on another machine", rooms[i].folder);
	}
}

/* --- programs ----------------------------------------------------------------------------------
 */

static bool check_program(struct doctor *d, const char *what, const char *name,
			  enum finding_state if_missing, const char *advice)
{
	AUTO(free_p) char *path = NULL;
	struct error err = {0};

	if (program_find(name, &path, &err) < 0)
		finding_add(d->findings, "programs", if_missing, advice, "%s: %s", what,
			    err.message);
	else
		finding_add(d->findings, "programs", FINDING_OK, NULL, "%s is %s", what, path);
	return path;
}

/* Debian's Xsession starts the first of these that is there. */
static void check_desktop(struct doctor *d)
{
	static const char *const managers[] = {"x-session-manager", "x-window-manager",
					       "x-terminal-emulator"};
	struct error ignored;

	if (!check_program(d, "the desktop", d->config.default_session, FINDING_ERROR,
			   "Install a desktop (on Debian: apt install xorg xfce4), or name its "
			   "program as default_session in agent.conf.") ||
	    strcmp(d->config.default_session, "/etc/X11/Xsession") != 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(managers); i++) {
		AUTO(free_p) char *path = NULL;

		if (program_find(managers[i], &path, &ignored) == 0) {
			finding_add(d->findings, "programs", FINDING_OK, NULL, "Xsession finds %s",
				    path);
			return;
		}
	}
	finding_add(
		d->findings, "programs", FINDING_WARNING,
		"Install a desktop (on Debian: apt install xfce4).",
		"Xsession finds no desktop: only sessions with an InitFile, or of users with an "
		".xsession of their own, start");
}

/* Beside the programs where they were built, in a system's folder where they were installed. */
static void check_screenshots(struct doctor *d)
{
	AUTO(free_p) char *beside = NULL;
	struct error ignored;

	if (file_beside_program("dcv-screenshot", &beside, &ignored) < 0)
		return;
	(void)check_program(d, "the program for screenshots",
			    access(beside, X_OK) == 0 ? beside : "dcv-screenshot", FINDING_WARNING,
			    "Install it; without it there are no screenshots.");
}

/* Only Xorg has desktops that console sessions show. */
static void check_scraper(struct doctor *d)
{
	AUTO(free_p) char *xorg = NULL;
	AUTO(free_p) char *path = NULL;
	struct error err = {0};

	if (program_find("Xorg", &xorg, &err) < 0)
		return;
	if (program_find_scraper(&path, &err) < 0)
		finding_add(d->findings, "programs", FINDING_WARNING,
			    "On Debian: apt install tigervnc-scraping-server; without it console "
			    "sessions cannot be seen in the browser.",
			    "%s", err.message);
	else
		finding_add(d->findings, "programs", FINDING_OK, NULL,
			    "console sessions are shown by %s", path);
}

void doctor_check_programs(struct doctor *d)
{
	if (!d->has_config)
		return;
	if (engine_is_dcv(&d->config)) {
		(void)check_program(d, "the command of the Amazon DCV server", d->config.dcv_root,
				    FINDING_ERROR,
				    "Install Amazon DCV, name its command as dcv_root, or set "
				    "engine = 'x11' in agent.conf.");
		return;
	}
	(void)check_program(d, "the X server", d->options->xserver, FINDING_ERROR,
			    "Install TigerVNC's Xvnc (on Debian: apt install "
			    "tigervnc-standalone-server).");
	check_desktop(d);
	(void)check_program(d, "the bus of a desktop", "dbus-run-session", FINDING_WARNING,
			    "On Debian: apt install dbus-daemon; without it all sessions of a user "
			    "share one bus.");
	check_screenshots(d);
	check_scraper(d);
}
