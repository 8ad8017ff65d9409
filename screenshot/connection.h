/**
 * A connection to an X server on this host that never waits longer than it was told, also when the
 * server is stopped in the middle of a sentence.
 *
 * XCB can connect and read without a limit only. Two things make up for that, both here:
 *  - the connection setup is spoken by us, with a deadline, and XCB is then given the answer
 *    to read from a socket of ours;
 *  - XCB is let at the socket only when a whole packet lies there.
 * For the second to hold, one large reply at a time may be outstanding, and none may be larger than
 * CONNECTION_REPLY_MAX_BYTES. Any number may be outstanding that have no extra data.
 */
#ifndef SCREENSHOT_CONNECTION_H
#define SCREENSHOT_CONNECTION_H

#include <stdint.h>

#include <xcb/xcb.h>

#include "common/error.h"

/** Well below what a Unix socket takes at once, so that a reply comes in one piece. */
#define CONNECTION_REPLY_MAX_BYTES (64 * 1024)

typedef void (*connection_event_fn)(const xcb_generic_event_t *event, void *userdata);

struct connection {
	xcb_connection_t *xcb;        /* owned, NULL when not open */
	connection_event_fn on_event; /* what the server says unasked; NULL to drop it */
	void *userdata;               /* of on_event */
};

/**
 * Connect to a display.
 *
 * @connection: a connection that is not open; on success it is
 * @display: ":1", "unix:1", ":1.0"; borrowed. The authority comes from XAUTHORITY or ~/.Xauthority.
 * @deadline: see deadline.h
 * @ret_screen: the number in the display's name
 *
 * Errors: ERR_INVALID not a display's name, ERR_UNSUPPORTED a display of another host,
 * ERR_NOT_FOUND no such display, ERR_DENIED it refused us, ERR_TIMEOUT, ERR_UNREACHABLE.
 * Source: X Window System Protocol, chapter 8, "Connection Setup".
 */
int connection_open(struct connection *connection, int *ret_screen, const char *display,
		    int64_t deadline, struct error *err);
void connection_close(struct connection *connection);

/**
 * Wait for the answer to a request that has one. Sends what is queued. Events that came before the
 * answer have been told when this returns.
 *
 * @sequence: of the request's cookie
 * @ret: on success the reply (free()), or NULL when the server answered with an X error, which then
 *	is *@ret_x_error (an X error code, 0 with a reply)
 *
 * Errors: ERR_TIMEOUT, ERR_UNREACHABLE; after either the connection is of no more use.
 */
int connection_await(struct connection *connection, unsigned sequence, int64_t deadline, void **ret,
		     unsigned *ret_x_error, struct error *err);

/** The same for a request that fails only when something is wrong with the server: ERR_SYSTEM. */
int connection_await_reply(struct connection *connection, unsigned sequence, int64_t deadline,
			   void **ret, struct error *err);

/** Take in what the server has said, without waiting. ERR_UNREACHABLE: the connection has ended. */
int connection_idle(struct connection *connection, struct error *err);

#endif
