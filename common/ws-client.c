#include "common/ws-client.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/ws-wire.h"

/* The library keeps the name of this one, between LWS_WRITE_HTTP and LWS_WRITE_PING, to itself. */
#define WRITE_CLOSE ((enum lws_write_protocol)4)

const lws_retry_bo_t ws_client_idle_policy = {
	.secs_since_valid_ping = WS_PING_S,
	.secs_since_valid_hangup = WS_HANGUP_S,
};

struct client {
	struct ws ws; /* first */
	struct lws *wsi;
};

static struct lws *wsi_of(struct ws *ws)
{
	return ((struct client *)ws)->wsi;
}

static void push(struct ws *ws)
{
	(void)lws_callback_on_writable(wsi_of(ws));
}

static void set_reading(struct ws *ws, bool is_reading)
{
	(void)lws_rx_flow_control(wsi_of(ws), is_reading);
}

static void drop_after(struct ws *ws, unsigned seconds)
{
	lws_set_timeout(wsi_of(ws), PENDING_TIMEOUT_CLOSE_SEND, (int)seconds);
}

static const struct ws_wire wire = {
	.push = push,
	.set_reading = set_reading,
	.drop_after = drop_after,
};

int ws_client_open(struct lws *wsi, struct ws **session, void *user)
{
	struct client *client = calloc(1, sizeof(*client));
	struct ws *ws;

	if (!client)
		return -1;
	ws = &client->ws;
	ws_init(ws, &wire, lws_get_vhost_user(lws_get_vhost(wsi)));
	client->wsi = wsi;
	ws->user = user;
	(void)lws_get_peer_simple(wsi, ws->peer_address, sizeof(ws->peer_address));
	*session = ws;
	if (ws->role->handler->open)
		ws->role->handler->open(ws, "", ws->role->userdata);
	return 0;
}

static int on_bytes(struct ws *ws, const void *bytes, size_t len)
{
	struct lws *wsi = wsi_of(ws);
	size_t left = lws_remaining_packet_payload(wsi);

	if (ws->close_code != LWS_CLOSE_STATUS_NOSTATUS ||
	    !ws_may_take(ws, lws_frame_is_binary(wsi), len + left))
		return 0;
	return ws_take(ws, bytes, len, lws_is_final_fragment(wsi) && left == 0);
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
	return lws_write(wsi_of(ws), bytes + LWS_PRE, 2 + len, WRITE_CLOSE) < 0 ? -1 : 0;
}

static int on_writable(struct ws *ws)
{
	struct ws_outgoing *out = ws_next(ws);
	size_t n;
	int flags;

	if (ws->close_code != LWS_CLOSE_STATUS_NOSTATUS)
		return send_close(ws);
	if (!out)
		return 0;
	n = out->len - out->sent < WS_PIECE_BYTES ? out->len - out->sent : WS_PIECE_BYTES;
	flags = lws_write_ws_flags(LWS_WRITE_TEXT, out->sent == 0, out->sent + n == out->len);
	if (lws_write(wsi_of(ws), out->bytes + LWS_PRE + out->sent, n,
		      (enum lws_write_protocol)flags) < (int)n)
		return -1;
	ws_sent(ws, out, n);
	if (ws_next(ws))
		push(ws);
	return 0;
}

static void on_closed(struct ws **session)
{
	struct ws *ws = TAKE(*session);

	if (!ws)
		return;
	ws_lost(ws);
	ws_done(ws);
	free(ws);
}

int ws_client_callback(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
		       size_t len)
{
	struct ws **ws = session;

	switch (reason) {
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return *ws ? on_bytes(*ws, in, len) : -1;
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return *ws ? on_writable(*ws) : -1;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		if (*ws)
			ws_note_close(*ws, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		on_closed(ws);
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, session, in, len);
	}
}
