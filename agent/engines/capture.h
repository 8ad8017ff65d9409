/**
 * The screenshots of one session of our own: requests to its capture program, and the answers.
 *
 * The program runs as the session's owner, so what it sends is not trusted: an image is a memory
 * descriptor with all seals, of bounded size, that begins as its format does; a failure fails that
 * request only. The program is started when there is something to ask, and goes away when idle.
 */
#ifndef AGENT_ENGINES_CAPTURE_H
#define AGENT_ENGINES_CAPTURE_H

#include "agent/engines/engine.h"

struct capture;

/** Ask for a socket to a capture program; capture_connected() or capture_failed() follows. */
typedef int (*capture_start_fn)(void *userdata, struct error *err);

struct capture *capture_new(struct loop *loop, const char *session_id, capture_start_fn start,
			    void *userdata);

/** Takes NULL. What is still open is answered with a failure. */
void capture_free(struct capture *capture);

void capture_request(struct capture *capture, const struct screenshot_wish *wish,
		     struct answer *answer);

/** @fd is taken. */
void capture_connected(struct capture *capture, int fd);

/** There will be no socket. Whoever waits for one is answered; nobody else is. */
void capture_failed(struct capture *capture, const char *why);

#endif
