/**
 * What a WebSocket peer is made of, for those who carry its bytes: ws-server.c over a stream,
 * ws-client.c over libwebsockets. Everybody else sees ws.h.
 */
#ifndef COMMON_WS_WIRE_H
#define COMMON_WS_WIRE_H

#include "common/buf.h"
#include "common/list.h"
#include "common/ws.h"

#define WS_PIECE_BYTES (32768 - WS_ROOM_BYTES) /* with its header, two TLS records */

/** One message on its way out. A carrier writes a frame's header into the bytes before a piece. */
struct ws_outgoing {
	struct list link; /* ws::queue */
	size_t len, sent;
	bool is_binary;
	unsigned char bytes[]; /* LWS_PRE of room, then the text */
};

struct ws_wire {
	/** There is something to send: the queue, or a close frame. */
	void (*push)(struct ws *ws);
	/** Nothing waits: send this at once, with a header that is written before it. NULL: never. */
	void (*send_binary)(struct ws *ws, unsigned char *bytes, size_t len);
	/** NULL: it is not known. */
	bool (*is_waiting)(const struct ws *ws);
	void (*set_reading)(struct ws *ws, bool is_reading);
	/** Drop the connection when that time is over. */
	void (*drop_after)(struct ws *ws, unsigned seconds);
};

struct ws {
	const struct ws_wire *wire;
	const struct ws_role *role;
	void *user;
	struct buf incoming;
	struct list queue;
	size_t queued_bytes;
	enum lws_close_status close_code; /* LWS_CLOSE_STATUS_NOSTATUS while open */
	bool is_close_sent;
	char why[124]; /* fits a close frame */
	char peer_address[64];
};

void ws_init(struct ws *ws, const struct ws_wire *wire, const struct ws_role *role);
void ws_done(struct ws *ws);

/** The peer is gone: tell the handler. */
void ws_lost(struct ws *ws);

/** May @len more bytes of a message be taken? If not, the peer is being closed. */
bool ws_may_take(struct ws *ws, bool is_binary, size_t len);

/** Bytes of a message, which ends with them or does not. -1: out of memory. */
int ws_take(struct ws *ws, const void *bytes, size_t len, bool is_end);

/** The first message in the queue, or NULL. */
struct ws_outgoing *ws_next(struct ws *ws);

/** @len bytes of the first message have left; it goes with its last one. */
void ws_sent(struct ws *ws, struct ws_outgoing *out, size_t len);

/** The peer has closed with that payload of its frame: remember why. */
void ws_note_close(struct ws *ws, const char *payload, size_t len);

#endif
