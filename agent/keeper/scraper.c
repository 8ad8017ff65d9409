#include "agent/keeper/scraper.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "agent/keeper/ending.h"
#include "common/cleanup.h"

#define LOOK_MS 10 /* nothing tells when it listens */

/* execve() promises not to write to them. */
static int prepare(void *data, char ***ret_argv, struct error *err)
{
	(void)err;
	*ret_argv = data;
	return 0;
}

static int start_program(struct scraper *scraper, const struct program_context *context,
			 const char *path, const struct scraper_start *start, struct error *err)
{
	const char *const arguments[] = {
		path,
		"-rfbunixpath",
		scraper->rfb,
		"-rfbunixmode",
		"0600",
		"-rfbport",
		"-1",
		"-SecurityTypes",
		"None",
		"-UseBlacklist=0", /* for to it they all come from one place */
		"-AcceptSetDesktopSize=0",
		"-QueryConnect=0",
		"-MaxDisconnectionTime=" SCRAPER_IDLE_S,
		"-desktop",
		start->session_id,
		NULL,
	};
	char *argv[ARRAY_SIZE(arguments)];

	memcpy(argv, arguments, sizeof(argv));
	program_done(&scraper->program);
	scraper->program = PROGRAM_NONE;
	(void)snprintf(scraper->program.name, sizeof(scraper->program.name),
		       "viewers' server of the local seat");
	return program_start(&scraper->program, context,
			     &(struct program_start){.source = "scraper",
						     .log_fd = start->log_fd,
						     .passed_fd = -1,
						     .prepare = prepare,
						     .data = argv},
			     err);
}

int scraper_run(struct scraper *scraper, const struct program_context *context,
		const struct scraper_start *start, struct error *err)
{
	AUTO(free_p) char *path = NULL;

	if (scraper->program.pid > 0)
		return 0;
	if (program_find_scraper(&path, err) < 0)
		return -1;
	if (snprintf(scraper->rfb, sizeof(scraper->rfb), "%s/rfb", start->owner_folder) >=
	    (int)sizeof(scraper->rfb))
		return error_set(err, ERR_TOO_LARGE, "path too long for a socket: %s/rfb",
				 start->owner_folder);
	return start_program(scraper, context, path, start, err);
}

int scraper_wait(const struct scraper *scraper, long long until_ms, struct error *err)
{
	/* of our own child: nobody else gets its number before it is reaped */
	AUTO(close_p) int pidfd = pidfd_open(scraper->program.pid, 0);
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

	if (pidfd < 0 || poll(&poll_fd, 1, LOOK_MS) > 0)
		return error_set(err, ERR_SYSTEM,
				 "the %s has ended; the session's log has what it said",
				 scraper->program.name);
	if (clock_ms() >= until_ms)
		return error_set(err, ERR_TIMEOUT, "the %s does not listen", scraper->program.name);
	return 0;
}

void scraper_done(struct scraper *scraper)
{
	program_done(&scraper->program);
	*scraper = SCRAPER_NONE;
}
