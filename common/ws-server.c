#include "common/ws-server.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "common/ws-wire.h"

#define CONTROL_MAX_BYTES 125
#define HEADER_MAX_BYTES 14
#define PING_MS (WS_PING_S * 1000ULL)
#define HANGUP_MS (WS_HANGUP_S * 1000ULL)
#define PINGS_MAX (WS_HANGUP_S / WS_PING_S) /* and then a little longer */

enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
#define FINAL 0x80
#define MASKED 0x80

struct server {
	struct ws ws; /* first */
	struct loop *loop;
	struct stream *stream;
	/* the frame that is coming in */
	unsigned char header[HEADER_MAX_BYTES];
	size_t n_header; /* bytes of it that are there */
	bool is_in_payload;
	unsigned long long left; /* of its payload */
	size_t mask_at;
	bool is_in_message; /* a message has begun and has not ended */
	bool is_binary;     /* that message, or the last one */
	char control[CONTROL_MAX_BYTES + 1];
	size_t n_control;
	bool is_pong_due; /* to the last ping, when what was written has left */
	char pong[CONTROL_MAX_BYTES];
	size_t n_pong;
	unsigned long long heard_ms; /* when the peer last sent anything */
	unsigned n_pings;            /* since then */
};

static struct server *server_of(struct ws *ws)
{
	return (struct server *)ws;
}

/* --- out ---------------------------------------------------------------------------------------
 */

/* Write the header of a frame so that it ends at @end; returns where it begins. */
static unsigned char *put_header(unsigned char *end, unsigned first, size_t len)
{
	unsigned char *at = end - (len < 126 ? 2 : len < 65536 ? 4 : 10);

	at[0] = (unsigned char)first;
	if (len < 126) {
		at[1] = (unsigned char)len;
		return at;
	}
	at[1] = len < 65536 ? 126 : 127;
	for (unsigned char *p = end - 1; p > at + 1; p--, len >>= 8)
		*p = (unsigned char)len;
	return at;
}

static void send_control(struct server *server, enum opcode opcode, const void *payload, size_t len)
{
	unsigned char frame[2 + CONTROL_MAX_BYTES] = {(unsigned char)(FINAL | opcode),
						      (unsigned char)len};

	memcpy(frame + 2, payload, len);
	stream_write(server->stream, frame, 2 + len);
}

/* RFC 6455, 5.5.3: of several pings only the last one must be answered, so a peer that does not read
 * cannot make us pile up answers. */
static void send_pong(struct server *server)
{
	if (!server->is_pong_due || server->ws.is_close_sent || stream_is_waiting(server->stream))
		return;
	server->is_pong_due = false;
	send_control(server, PONG, server->pong, server->n_pong);
}

static void on_ping(struct server *server)
{
	server->is_pong_due = true;
	server->n_pong = server->n_control;
	memcpy(server->pong, server->control, server->n_control);
	send_pong(server);
}

static void send_close(struct server *server)
{
	struct ws *ws = &server->ws;
	char payload[2 + sizeof(ws->why)];
	size_t len = strlen(ws->why);

	if (ws->is_close_sent)
		return;
	ws->is_close_sent = true;
	payload[0] = (char)(ws->close_code >> 8);
	payload[1] = (char)(ws->close_code & 0xff);
	memcpy(payload + 2, ws->why, len);
	send_control(server, CLOSE, payload, 2 + len);
}

static void send_frame(struct server *server, unsigned first, unsigned char *payload, size_t len)
{
	unsigned char *frame = put_header(payload, first, len);

	stream_write(server->stream, frame, (size_t)(payload - frame) + len);
}

static void send_binary(struct ws *ws, unsigned char *bytes, size_t len)
{
	send_frame(server_of(ws), FINAL | BINARY, bytes, len);
}

static unsigned opcode_of_piece(const struct ws_outgoing *out)
{
	return out->sent ? CONTINUATION : out->is_binary ? BINARY : TEXT;
}

/* Each piece is a frame of its own, so that another one may come between, and goes out together
 * with its header, which takes the place of what left before it. */
static void push(struct ws *ws)
{
	struct server *server = server_of(ws);
	struct ws_outgoing *out;

	while (ws->close_code == LWS_CLOSE_STATUS_NOSTATUS && !stream_is_waiting(server->stream) &&
	       (out = ws_next(ws))) {
		size_t left = out->len - out->sent;
		size_t n = left < WS_PIECE_BYTES ? left : WS_PIECE_BYTES;

		send_frame(server, opcode_of_piece(out) | (n == left ? FINAL : 0U),
			   out->bytes + LWS_PRE + out->sent, n);
		ws_sent(ws, out, n);
	}
	if (ws->close_code != LWS_CLOSE_STATUS_NOSTATUS)
		send_close(server);
}

static void set_reading(struct ws *ws, bool is_reading)
{
	stream_set_reading(server_of(ws)->stream, is_reading);
}

static void drop_after(struct ws *ws, unsigned seconds)
{
	stream_set_timeout(server_of(ws)->stream, seconds * 1000ULL);
}

static bool is_waiting(const struct ws *ws)
{
	return stream_is_waiting(((const struct server *)ws)->stream);
}

static const struct ws_wire wire = {
	.push = push,
	.send_binary = send_binary,
	.is_waiting = is_waiting,
	.set_reading = set_reading,
	.drop_after = drop_after,
};

/* --- in ----------------------------------------------------------------------------------------
 */

static void fail(struct server *server, const char *why)
{
	ws_close(&server->ws, LWS_CLOSE_STATUS_PROTOCOL_ERR, why);
}

static unsigned opcode_of(const struct server *server)
{
	return server->header[0] & 0x0f;
}

static bool is_control(const struct server *server)
{
	return (server->header[0] & 0x08) != 0;
}

static size_t header_length(const struct server *server)
{
	unsigned length = server->header[1] & 0x7f;

	return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + 4;
}

static unsigned long long payload_length(const struct server *server)
{
	size_t n = header_length(server) - 6;
	unsigned long long length = 0;

	if (n == 0)
		return server->header[1] & 0x7f;
	for (size_t i = 0; i < n; i++)
		length = length << 8 | server->header[2 + i];
	return length;
}

/* RFC 6455, 5.2 to 5.5: what may come at this point. */
static const char *find_fault(const struct server *server)
{
	unsigned opcode = opcode_of(server);
	bool is_final = server->header[0] & FINAL;

	if (server->header[0] & 0x70)
		return "reserved bits";
	if (!(server->header[1] & MASKED))
		return "frame without a mask";
	if (is_control(server))
		return opcode > PONG                                    ? "unknown opcode"
		       : !is_final                                      ? "control frame in pieces"
		       : (server->header[1] & 0x7f) > CONTROL_MAX_BYTES ? "control frame too large"
									: NULL;
	if (opcode > BINARY)
		return "unknown opcode";
	if ((opcode == CONTINUATION) != server->is_in_message)
		return server->is_in_message ? "a message within a message" : "nothing to continue";
	return NULL;
}

/* RFC 6455, 7.4: codes that may be sent. */
static bool is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

static void judge_close(struct server *server)
{
	const unsigned char *payload = (unsigned char *)server->control;
	size_t n = server->n_control;

	server->control[n] = '\0';
	if (n == 1 || (n > 1 && !is_close_code((unsigned)payload[0] << 8 | payload[1])))
		fail(server, "ill-formed close");
	else if (n > 2 && !is_utf8(server->control + 2, n - 2))
		ws_close(&server->ws, LWS_CLOSE_STATUS_INVALID_PAYLOAD, "reason that is not UTF-8");
}

static void on_close_frame(struct server *server)
{
	struct ws *ws = &server->ws;

	judge_close(server);
	ws_note_close(ws, server->control, server->n_control);
	if (!ws->is_close_sent) {
		ws->is_close_sent = true;
		send_control(server, CLOSE, server->control, server->n_control < 2 ? 0 : 2);
	}
	if (ws->close_code == LWS_CLOSE_STATUS_NOSTATUS)
		ws->close_code = LWS_CLOSE_STATUS_NORMAL;
	stream_finish_both(server->stream);
}

static int on_frame_end(struct server *server)
{
	bool is_open = server->ws.close_code == LWS_CLOSE_STATUS_NOSTATUS;

	server->is_in_payload = false;
	server->n_header = 0;
	if (!is_control(server) && server->is_binary)
		return 0;
	if (!is_control(server))
		return is_open ? ws_take(&server->ws, "", 0, !server->is_in_message) : 0;
	if (opcode_of(server) == CLOSE)
		on_close_frame(server);
	else if (opcode_of(server) == PING && is_open)
		on_ping(server);
	return 0;
}

/* Its first two bytes are there. */
static void judge_header(struct server *server)
{
	const char *fault = find_fault(server);

	if (fault)
		fail(server, fault);
}

static void on_header(struct server *server)
{
	server->is_in_payload = true;
	server->left = payload_length(server);
	server->mask_at = 0;
	server->n_control = 0;
	if (server->ws.close_code != LWS_CLOSE_STATUS_NOSTATUS)
		return;
	if (!is_control(server)) {
		server->is_in_message = !(server->header[0] & FINAL);
		if (opcode_of(server) != CONTINUATION)
			server->is_binary = opcode_of(server) == BINARY;
		(void)ws_may_take(&server->ws, server->is_binary, server->left);
	}
}

/* Eight bytes at a time: a message may be an image. In place, for the bytes are ours. */
static void unmask(struct server *server, char *bytes, size_t len)
{
	const unsigned char *mask = server->header + header_length(server) - 4;
	unsigned char turned[8];
	uint64_t wide, word;
	size_t i = 0;

	for (size_t k = 0; k < sizeof(turned); k++)
		turned[k] = mask[(server->mask_at + k) % 4];
	memcpy(&wide, turned, sizeof(wide));
	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		word ^= wide;
		memcpy(bytes + i, &word, sizeof(word));
	}
	for (; i < len; i++)
		bytes[i] = (char)(bytes[i] ^ turned[i % 4]);
	server->mask_at += len;
}

/* Nothing of it is kept: what it means does not depend on where it is cut. */
static void on_binary(struct server *server)
{
	struct ws *ws = &server->ws;

	ws->role->handler->binary(ws, ws->incoming.data, ws->incoming.len, ws->role->userdata);
	ws->incoming.len = 0;
}

static int on_payload(struct server *server, const char *bytes, size_t len)
{
	struct ws *ws = &server->ws;
	size_t before = ws->incoming.len;

	server->left -= len;
	if (is_control(server)) {
		/* Of a frame that is at fault nothing is kept. */
		if (len > CONTROL_MAX_BYTES - server->n_control)
			return 0;
		memcpy(server->control + server->n_control, bytes, len);
		unmask(server, server->control + server->n_control, len);
		server->n_control += len;
		return 0;
	}
	if (ws->close_code != LWS_CLOSE_STATUS_NOSTATUS)
		return 0;
	if (ws_take(ws, bytes, len, false) < 0)
		return -1;
	unmask(server, ws->incoming.data + before, len);
	if (server->is_binary)
		on_binary(server);
	return 0;
}

/* Take what belongs to the present part of a frame; returns how much that was, or -1. */
static ssize_t take_part(struct server *server, const char *bytes, size_t len)
{
	size_t wanted = server->n_header < 2 ? 2 : header_length(server);
	size_t n = wanted - server->n_header;

	if (server->is_in_payload) {
		n = server->left < len ? (size_t)server->left : len;
		if (n > 0 && on_payload(server, bytes, n) < 0)
			return -1;
		if (server->left == 0 && on_frame_end(server) < 0)
			return -1;
		return (ssize_t)n;
	}
	n = n < len ? n : len;
	memcpy(server->header + server->n_header, bytes, n);
	server->n_header += n;
	if (server->n_header == 2)
		judge_header(server);
	else if (server->n_header > 2 && server->n_header == header_length(server))
		on_header(server);
	return (ssize_t)n;
}

static void on_read(void *user, const char *bytes, size_t len)
{
	struct server *server = user;

	server->heard_ms = loop_now_ms(server->loop);
	server->n_pings = 0;
	while (len > 0 || (server->is_in_payload && server->left == 0)) {
		ssize_t n = take_part(server, bytes, len);

		if (n < 0) {
			stream_abort(server->stream);
			return;
		}
		bytes += n;
		len -= (size_t)n;
	}
}

/* --- the connection ----------------------------------------------------------------------------
 */

static void on_drained(void *user)
{
	struct server *server = user;
	const struct ws_role *role = server->ws.role;

	send_pong(server);
	push(&server->ws);
	if (role->handler->drained && !ws_is_waiting(&server->ws) &&
	    !stream_is_over(server->stream))
		role->handler->drained(&server->ws, role->userdata);
}

static void on_end(void *user)
{
	struct server *server = user;

	stream_finish(server->stream);
}

/* Ask a silent peer whether it is there, and give up one that does not answer. Counted in questions, for
 * after a time in which this program did not run an answer may be there and unread. */
static void watch(struct server *server)
{
	unsigned long long silent_ms = loop_now_ms(server->loop) - server->heard_ms;

	if (silent_ms < PING_MS) {
		stream_set_timeout(server->stream, PING_MS - silent_ms);
		return;
	}
	if (server->n_pings == PINGS_MAX) {
		ws_close(&server->ws, LWS_CLOSE_STATUS_POLICY_VIOLATION, "peer does not answer");
		return;
	}
	send_control(server, PING, "", 0);
	server->n_pings++;
	stream_set_timeout(server->stream,
			   server->n_pings < PINGS_MAX ? PING_MS : HANGUP_MS % PING_MS);
}

static void on_timeout(void *user)
{
	struct server *server = user;

	if (server->ws.close_code != LWS_CLOSE_STATUS_NOSTATUS)
		stream_abort(server->stream);
	else
		watch(server);
}

static void on_closed(void *user)
{
	struct ws *ws = user;

	ws_lost(ws);
	ws_done(ws);
	free(ws);
}

static const struct stream_handler stream_handler = {
	.read = on_read,
	.end = on_end,
	.drained = on_drained,
	.timeout = on_timeout,
	.closed = on_closed,
};

void ws_server_accept_key(const char *key, char ret[29])
{
	char text[128];
	unsigned char digest[20] = {0};
	int n = snprintf(text, sizeof(text), "%.60s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

	(void)EVP_Digest(text, (size_t)n, digest, NULL, EVP_sha1(), NULL);
	(void)EVP_EncodeBlock((unsigned char *)ret, digest, sizeof(digest));
}

int ws_server_start(struct loop *loop, struct stream *stream, const struct ws_role *role,
		    const char *authorization, const char *bytes, size_t len, struct error *err)
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server)
		return error_oom(err);
	ws_init(&server->ws, &wire, role);
	server->loop = loop;
	server->stream = stream;
	server->heard_ms = loop_now_ms(loop);
	stream_peer_address(stream, server->ws.peer_address, sizeof(server->ws.peer_address));
	stream_set_handler(stream, &stream_handler, server);
	stream_set_timeout(stream, PING_MS);
	if (role->handler->open)
		role->handler->open(&server->ws, authorization, role->userdata);
	on_read(server, bytes, len);
	return 0;
}
