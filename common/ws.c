#include "common/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/list.h"

#define WRITE_MAX_BYTES 32768
/* The library keeps the name of this one, between LWS_WRITE_HTTP and LWS_WRITE_PING, to itself. */
#define WRITE_CLOSE ((enum lws_write_protocol)4)

const lws_retry_bo_t ws_idle_policy = {
	.secs_since_valid_ping = WS_PING_S,
	.secs_since_valid_hangup = WS_HANGUP_S,
};

/* One message on its way out. libwebsockets writes its frame header into the bytes before. */
struct outgoing {
	struct list link; /* ws::queue */
	size_t len, sent;
	unsigned char bytes[];
};

struct ws {
	struct lws *wsi;
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
	(void)lws_callback_on_writable(ws->wsi);
	/* A peer that does not read makes no socket writable: do not wait for it for long. */
	lws_set_timeout(ws->wsi, PENDING_TIMEOUT_CLOSE_SEND, 2);
}

void ws_set_reading(struct ws *ws, bool is_reading)
{
	(void)lws_rx_flow_control(ws->wsi, is_reading);
}

int ws_send(struct ws *ws, const void *text, size_t len, struct error *err)
{
	struct outgoing *out;

	if (ws->close_code != LWS_CLOSE_STATUS_NOSTATUS)
		return error_set(err, ERR_UNREACHABLE, "the connection is closing");
	if (len > ws->role->handler->message_max_bytes)
		return error_set(err, ERR_TOO_LARGE, "message of %zu bytes, limit %zu", len,
				 ws->role->handler->message_max_bytes);
	if (len > ws->role->handler->queue_max_bytes - ws->queued_bytes) {
		ws_close(ws, LWS_CLOSE_STATUS_POLICY_VIOLATION, "peer does not read");
		return error_set(err, ERR_LIMIT, "peer does not read");
	}
	out = malloc(sizeof(*out) + LWS_PRE + len);
	if (!out)
		return error_oom(err);
	*out = (struct outgoing){.len = len};
	if (len > 0)
		memcpy(out->bytes + LWS_PRE, text, len);
	list_append(&ws->queue, &out->link);
	ws->queued_bytes += len;
	(void)lws_callback_on_writable(ws->wsi);
	return 0;
}

void ws_read_peer_address(struct lws *wsi, char *ret, size_t size)
{
	static const char mapped[] = "::ffff:"; /* an IPv4 peer of a socket for both families */
	char text[64] = "";
	bool is_mapped;

	(void)lws_get_peer_simple(wsi, text, sizeof(text));
	is_mapped = strncmp(text, mapped, strlen(mapped)) == 0 && strchr(text, '.');
	(void)snprintf(ret, size, "%s", is_mapped ? text + strlen(mapped) : text);
}

static struct ws *ws_new(struct lws *wsi)
{
	struct ws *ws = calloc(1, sizeof(*ws));

	if (!ws)
		return NULL;
	ws->wsi = wsi;
	ws->role = lws_get_vhost_user(lws_get_vhost(wsi));
	ws->close_code = LWS_CLOSE_STATUS_NOSTATUS;
	list_init(&ws->queue);
	ws_read_peer_address(wsi, ws->peer_address, sizeof(ws->peer_address));
	return ws;
}

static void ws_free(struct ws *ws)
{
	list_for_each_safe (out, &ws->queue, struct outgoing, link)
		free(out);
	buf_done(&ws->incoming);
	free(ws);
}

int ws_open(struct lws *wsi, struct ws **session, void *user)
{
	char authorization[4096] = "";
	struct ws *ws = ws_new(wsi);

	if (!ws)
		return -1;
	ws->user = user;
	*session = ws;
	(void)lws_hdr_copy(wsi, authorization, sizeof(authorization), WSI_TOKEN_HTTP_AUTHORIZATION);
	if (ws->role->handler->open)
		ws->role->handler->open(ws, authorization, ws->role->userdata);
	return 0;
}

static int on_bytes(struct ws *ws, const void *bytes, size_t len)
{
	const struct ws_handler *handler = ws->role->handler;
	struct error err;

	if (ws->close_code != LWS_CLOSE_STATUS_NOSTATUS)
		return 0;
	if (lws_frame_is_binary(ws->wsi)) {
		ws_close(ws, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, "binary message");
		return 0;
	}
	if (ws->incoming.len + len + lws_remaining_packet_payload(ws->wsi) >
	    handler->message_max_bytes) {
		ws_close(ws, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "message too large");
		return 0;
	}
	if (buf_append(&ws->incoming, bytes, len, &err) < 0)
		return -1;
	if (!lws_is_final_fragment(ws->wsi) || lws_remaining_packet_payload(ws->wsi) > 0)
		return 0;
	handler->message(ws, ws->incoming.data, ws->incoming.len, ws->role->userdata);
	/* One large message must not hold its memory as long as the link stands. */
	if (ws->incoming.capacity > WRITE_MAX_BYTES)
		buf_done(&ws->incoming);
	ws->incoming.len = 0;
	return 0;
}

/* lws_close_reason() and -1 would drop the connection without a frame, so the frame is written
 * here. The peer answers it and closes, or the timeout of ws_close() ends the wait: closing at
 * once, with input not read, would take the frame away from the peer. */
static int send_close(struct ws *ws)
{
	unsigned char bytes[LWS_PRE + 2 + sizeof(ws->why)];
	size_t len = strlen(ws->why);

	if (ws->is_close_sent)
		return 0;
	ws->is_close_sent = true;
	bytes[LWS_PRE] = (unsigned char)(ws->close_code >> 8);
	bytes[LWS_PRE + 1] = (unsigned char)(ws->close_code & 0xff);
	memcpy(bytes + LWS_PRE + 2, ws->why, len);
	return lws_write(ws->wsi, bytes + LWS_PRE, 2 + len, WRITE_CLOSE) < 0 ? -1 : 0;
}

static int on_writable(struct ws *ws)
{
	struct outgoing *out;
	size_t n;
	int flags;

	if (ws->close_code != LWS_CLOSE_STATUS_NOSTATUS)
		return send_close(ws);
	if (list_is_empty(&ws->queue))
		return 0;
	out = list_entry(ws->queue.next, struct outgoing, link);
	n = out->len - out->sent < WRITE_MAX_BYTES ? out->len - out->sent : WRITE_MAX_BYTES;
	flags = lws_write_ws_flags(LWS_WRITE_TEXT, out->sent == 0, out->sent + n == out->len);
	if (lws_write(ws->wsi, out->bytes + LWS_PRE + out->sent, n,
		      (enum lws_write_protocol)flags) < (int)n)
		return -1;
	out->sent += n;
	ws->queued_bytes -= n;
	if (out->sent == out->len) {
		list_remove(&out->link);
		free(out);
	}
	if (!list_is_empty(&ws->queue))
		(void)lws_callback_on_writable(ws->wsi);
	return 0;
}

static void on_closed(struct ws **session)
{
	struct ws *ws = TAKE(*session);

	if (!ws)
		return;
	if (ws->role->handler->close)
		ws->role->handler->close(ws, ws->why[0] ? ws->why : "connection closed",
					 ws->role->userdata);
	ws_free(ws);
}

int ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
		size_t len)
{
	struct ws **ws = session;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		return ws_open(wsi, ws, NULL);
	case LWS_CALLBACK_RECEIVE:
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return *ws ? on_bytes(*ws, in, len) : -1;
	case LWS_CALLBACK_SERVER_WRITEABLE:
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return *ws ? on_writable(*ws) : -1;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		if (*ws && len >= 2 && (*ws)->close_code == LWS_CLOSE_STATUS_NOSTATUS)
			(void)snprintf((*ws)->why, sizeof((*ws)->why), "closed by the peer: %.*s",
				       len > 80 ? 78 : (int)len - 2, (const char *)in + 2);
		return 0;
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLIENT_CLOSED:
		on_closed(ws);
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, session, in, len);
	}
}
