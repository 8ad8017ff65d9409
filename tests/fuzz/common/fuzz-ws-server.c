/* What a WebSocket peer sends means the same in one piece and in pieces: the same messages come out of
 * it, none is above the limit, and the same bytes go back. The first byte is the size of the pieces,
 * and whether binary messages are taken. The stream is a stand-in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/ws-server.h"

#define MESSAGE_MAX_BYTES 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stream {
	const struct stream_handler *handler;
	void *user;
	bool is_over;
	struct buf sent;
	struct buf received;
	struct buf binary;
};

void stream_set_handler(struct stream *s, const struct stream_handler *handler, void *user)
{
	s->handler = handler;
	s->user = user;
}

void stream_write(struct stream *s, const void *bytes, size_t len)
{
	struct error err;

	if (!s->is_over)
		(void)buf_append(&s->sent, bytes, len, &err);
}

bool stream_is_waiting(const struct stream *s)
{
	(void)s;
	return false;
}

bool stream_is_over(const struct stream *s)
{
	return s->is_over;
}

void stream_set_reading(struct stream *s, bool is_reading)
{
	(void)s;
	(void)is_reading;
}

void stream_set_timeout(struct stream *s, unsigned long long ms)
{
	(void)s;
	(void)ms;
}

void stream_finish(struct stream *s)
{
	s->is_over = true;
}

void stream_finish_both(struct stream *s)
{
	s->is_over = true;
}

void stream_abort(struct stream *s)
{
	s->is_over = true;
}

void stream_peer_address(const struct stream *s, char *ret, size_t size)
{
	(void)s;
	(void)size;
	ret[0] = '\0';
}

unsigned long long loop_now_ms(const struct loop *loop)
{
	(void)loop;
	return 0;
}

static void on_message(struct ws *ws, const char *text, size_t len, void *userdata)
{
	struct stream *s = userdata;
	struct error err;

	(void)ws;
	if (len > MESSAGE_MAX_BYTES || text[len] != '\0')
		__builtin_trap();
	(void)buf_append(&s->received, text, len + 1, &err);
	if (len > 0 && text[0] == 'e')
		(void)ws_send(ws, text, len, &err);
}

static void on_binary(struct ws *ws, const void *bytes, size_t len, void *userdata)
{
	struct stream *s = userdata;
	struct error err;

	(void)ws;
	(void)buf_append(&s->binary, bytes, len, &err);
}

static void feed(struct stream *s, bool takes_binary, const char *bytes, size_t len, size_t step)
{
	const struct ws_handler handler = {
		.protocol = "x",
		.message_max_bytes = MESSAGE_MAX_BYTES,
		.queue_max_bytes = MESSAGE_MAX_BYTES,
		.message = on_message,
		.binary = takes_binary ? on_binary : NULL,
	};
	const struct ws_role role = {&handler, s};
	struct error err;

	if (ws_server_start(NULL, s, &role, "", "", 0, &err) < 0)
		return;
	for (size_t at = 0; at < len && !s->is_over; at += step)
		s->handler->read(s->user, bytes + at, len - at < step ? len - at : step);
	s->handler->closed(s->user);
}

static void check_same(const struct buf *a, const struct buf *b)
{
	if (a->len != b->len || (a->len > 0 && memcmp(a->data, b->data, a->len) != 0))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream whole = {0}, pieces = {0};

	if (size < 2)
		return 0;
	feed(&whole, data[0] & 0x80, (const char *)data + 1, size - 1, size - 1);
	feed(&pieces, data[0] & 0x80, (const char *)data + 1, size - 1, (data[0] & 0x7fU) + 1);
	check_same(&whole.sent, &pieces.sent);
	check_same(&whole.received, &pieces.received);
	check_same(&whole.binary, &pieces.binary);
	buf_done(&whole.binary);
	buf_done(&pieces.binary);
	buf_done(&whole.sent);
	buf_done(&whole.received);
	buf_done(&pieces.sent);
	buf_done(&pieces.received);
	return 0;
}
