/**
 * What serves the picture of a console session to viewers: TigerVNC's scraping server, a client of the
 * X server at the local seat that speaks RFB on a Unix socket in the owner's folder, and nowhere else.
 *
 * It is started for the first viewer, ends by itself soon after the last one has left, and is ended
 * with the session. If it ends otherwise its viewers are cut off, and the next one has it started
 * anew. It does not resize the desktop, for a person may sit at that screen; and, in Debian's release, it
 * knows of no clipboard.
 *
 * *Trap*: Debian's command x0tigervncserver is a script around it which carries out a file in the
 * owner's home folder, and leaves pid files there.
 */
#ifndef AGENT_KEEPER_SCRAPER_H
#define AGENT_KEEPER_SCRAPER_H

#include <sys/un.h>

#include "agent/keeper/program.h"

#define SCRAPER_IDLE_S "5"        /* without a viewer */
#define SCRAPER_PATIENCE_MS 10000 /* for it to listen */

struct scraper {
	struct program program;
	char rfb[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* path */
};

#define SCRAPER_NONE ((struct scraper){.program = PROGRAM_NONE})

struct scraper_start {
	const char *session_id;   /* the desktop's name */
	const char *owner_folder; /* for the viewers' socket */
	int log_fd;
};

/**
 * Start it, unless it runs.
 *
 * Errors: ERR_UNSUPPORTED when this host does not have it.
 */
int scraper_run(struct scraper *scraper, const struct program_context *context,
		const struct scraper_start *start, struct error *err);

/**
 * It does not listen so far: wait a moment. For a child of the keeper.
 *
 * Errors: ERR_TIMEOUT at @until_ms of clock_ms(), ERR_SYSTEM when it has ended.
 */
int scraper_wait(const struct scraper *scraper, long long until_ms, struct error *err);

void scraper_done(struct scraper *scraper);

#endif
