#include "common/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"
#include "common/ws-wire.h"

#define CLOSE_TIMEOUT_S 2
#define AT_ONCE_MAX_BYTES (128UL * 1024) /* as a stream takes them */

void ws_set_user(struct ws *ws, void *user)
{
	ws->user = user;
}

void *ws_user(const struct ws *ws)
{
	return ws->user;
}

const char *ws_peer_address(const struct ws *ws)
{
	return ws->peer_address;
}

void ws_close(struct ws *ws, enum lws_close_status code, const char *reason)
{
	if (ws->close_code != LWS_CLOSE_STATUS_NOSTATUS)
		return;
	ws->close_code = code;
	(void)snprintf(ws->why, sizeof(ws->why), "%s", reason);
	/* A peer that does not read makes no socket writable: do not wait for it for long. */
	ws->wire->drop_after(ws, CLOSE_TIMEOUT_S);
	ws->wire->push(ws);
}

void ws_set_reading(struct ws *ws, bool is_reading)
{
	ws->wire->set_reading(ws, is_reading);
}

static int check_open(const struct ws *ws, struct error *err)
{
	if (ws->close_code == LWS_CLOSE_STATUS_NOSTATUS)
		return 0;
	return error_set(err, ERR_UNREACHABLE, "the connection is closing");
}

static int enqueue(struct ws *ws, bool is_binary, const void *bytes, size_t len, struct error *err)
{
	struct ws_outgoing *out;

	if (check_open(ws, err) < 0)
		return -1;
	if (!is_binary && len > ws->role->handler->message_max_bytes)
		return error_set(err, ERR_TOO_LARGE, "message of %zu bytes, limit %zu", len,
				 ws->role->handler->message_max_bytes);
	if (len > ws->role->handler->queue_max_bytes - ws->queued_bytes) {
		ws_close(ws, LWS_CLOSE_STATUS_POLICY_VIOLATION, "peer does not read");
		return error_set(err, ERR_LIMIT, "peer does not read");
	}
	out = malloc(sizeof(*out) + LWS_PRE + len);
	if (!out)
		return error_oom(err);
	*out = (struct ws_outgoing){.len = len, .is_binary = is_binary};
	if (len > 0)
		memcpy(out->bytes + LWS_PRE, bytes, len);
	list_append(&ws->queue, &out->link);
	ws->queued_bytes += len;
	ws->wire->push(ws);
	return 0;
}

int ws_send(struct ws *ws, const void *text, size_t len, struct error *err)
{
	return enqueue(ws, false, text, len, err);
}

int ws_send_binary(struct ws *ws, struct buf *message, struct error *err)
{
	char *bytes = message->data + WS_ROOM_BYTES;
	size_t len = message->len - WS_ROOM_BYTES;

	if (len > AT_ONCE_MAX_BYTES || ws_is_waiting(ws))
		return enqueue(ws, true, bytes, len, err);
	if (check_open(ws, err) < 0)
		return -1;
	ws->wire->send_binary(ws, (unsigned char *)bytes, len);
	return 0;
}

bool ws_is_waiting(const struct ws *ws)
{
	return !list_is_empty(&ws->queue) || ws->wire->is_waiting(ws);
}

/* --- for the carriers --------------------------------------------------------------------------
 */

void ws_init(struct ws *ws, const struct ws_wire *wire, const struct ws_role *role)
{
	*ws = (struct ws){.wire = wire, .role = role, .close_code = LWS_CLOSE_STATUS_NOSTATUS};
	list_init(&ws->queue);
}

void ws_done(struct ws *ws)
{
	list_for_each_safe (out, &ws->queue, struct ws_outgoing, link)
		free(out);
	buf_done(&ws->incoming);
}

void ws_lost(struct ws *ws)
{
	if (ws->role->handler->close)
		ws->role->handler->close(ws, ws->why[0] ? ws->why : "connection closed",
					 ws->role->userdata);
}

bool ws_may_take(struct ws *ws, bool is_binary, size_t len)
{
	if (is_binary && !ws->role->handler->binary)
		ws_close(ws, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, "binary message");
	else if (!is_binary && len > ws->role->handler->message_max_bytes - ws->incoming.len)
		ws_close(ws, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "message too large");
	return ws->close_code == LWS_CLOSE_STATUS_NOSTATUS;
}

int ws_take(struct ws *ws, const void *bytes, size_t len, bool is_end)
{
	struct error err;

	if (buf_append(&ws->incoming, bytes, len, &err) < 0)
		return -1;
	if (!is_end)
		return 0;
	if (!is_utf8(ws->incoming.data, ws->incoming.len)) {
		ws_close(ws, LWS_CLOSE_STATUS_INVALID_PAYLOAD, "text that is not UTF-8");
		return 0;
	}
	ws->role->handler->message(ws, ws->incoming.data, ws->incoming.len, ws->role->userdata);
	/* One large message must not hold its memory as long as the link stands. */
	if (ws->incoming.capacity > WS_PIECE_BYTES)
		buf_done(&ws->incoming);
	ws->incoming.len = 0;
	return 0;
}

struct ws_outgoing *ws_next(struct ws *ws)
{
	if (list_is_empty(&ws->queue))
		return NULL;
	return list_entry(ws->queue.next, struct ws_outgoing, link);
}

void ws_sent(struct ws *ws, struct ws_outgoing *out, size_t len)
{
	out->sent += len;
	ws->queued_bytes -= len;
	if (out->sent < out->len)
		return;
	list_remove(&out->link);
	free(out);
}

void ws_note_close(struct ws *ws, const char *payload, size_t len)
{
	if (len >= 2 && ws->close_code == LWS_CLOSE_STATUS_NOSTATUS)
		(void)snprintf(ws->why, sizeof(ws->why), "closed by the peer: %.*s",
			       len > 80 ? 78 : (int)len - 2, payload + 2);
}
