/**
 * WebSocket peers that exchange whole text messages: the same for both ends. A server may exchange
 * binary ones as well, which are taken as a stream of bytes, whatever they are cut into.
 *
 * Messages queue up and leave when the socket is writable. A peer that does not read is dropped
 * when its queue is full, one that sends a message above the limit is closed with 1009, one that
 * answers no ping for WS_HANGUP_S is given up. Source: RFC 6455.
 */
#ifndef COMMON_WS_H
#define COMMON_WS_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

#define WS_PING_S 20
#define WS_HANGUP_S 65
#define WS_ROOM_BYTES 10 /* for the header of a frame that a server sends */
/** Of HTTP: the refusal of who does not offer the handler's protocol. */
#define WS_STATUS_OTHER_PROTOCOL 426

struct ws;

/** What an end does with its peers. Every function but message may be NULL. */
struct ws_handler {
	const char *protocol; /* subprotocol, with its version */
	const char *path;     /* server: where the upgrade is; NULL: anywhere */
	size_t message_max_bytes;
	size_t queue_max_bytes; /* unsent, per peer */

	/**
	 * Server: may this upgrade go on? @authorization is the header's value or "".
	 * 0 for yes, else the HTTP status of the refusal.
	 */
	int (*authorize)(const char *authorization, void *userdata);

	/** The peer is there. Server: @authorization again; client: "". */
	void (*open)(struct ws *ws, const char *authorization, void *userdata);
	/** A whole message; @text is NUL-terminated, borrowed. */
	void (*message)(struct ws *ws, const char *text, size_t len, void *userdata);
	/** Server: bytes of binary messages, borrowed; NULL: the peer may send none. */
	void (*binary)(struct ws *ws, const void *bytes, size_t len, void *userdata);
	/** Server: what waited has left. Only after ws_is_waiting() was true. */
	void (*drained)(struct ws *ws, void *userdata);
	/** The peer is gone, and @ws with it after this call. @why is a few words. */
	void (*close)(struct ws *ws, const char *why, void *userdata);
};

/** A pointer of the handler's, NULL at first. */
void ws_set_user(struct ws *ws, void *user);
void *ws_user(const struct ws *ws);

/** Address of the other end as text, "" if unknown. */
const char *ws_peer_address(const struct ws *ws);

/**
 * Queue a message. ERR_LIMIT: the queue is full, and the peer will be dropped; ERR_TOO_LARGE: above
 * the limit. Never closes before it returns.
 */
int ws_send(struct ws *ws, const void *text, size_t len, struct error *err);

/**
 * Server: the same with a binary message, of any length that the queue has room for. @message begins with
 * WS_ROOM_BYTES that are not sent but written to; if nothing waits it is not even copied.
 */
int ws_send_binary(struct ws *ws, struct buf *message, struct error *err);

/** Server: is something that was sent still here? Then drained() comes. */
bool ws_is_waiting(const struct ws *ws);

/** Close when the loop turns; messages in the queue are dropped. @code: RFC 6455, 7.4.1. */
void ws_close(struct ws *ws, enum lws_close_status code, const char *reason);

/**
 * Stop to read, or go on. One that does not read answers no ping either: what a host does that has
 * come to a standstill.
 */
void ws_set_reading(struct ws *ws, bool is_reading);

/** What the owner of a connection knows of it: for those who carry it, see ws-wire.h. */
struct ws_role {
	const struct ws_handler *handler;
	void *userdata;
};

#endif
