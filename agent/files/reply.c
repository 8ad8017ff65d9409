#include "agent/files/reply.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/message.h"

#define STATUS_NO_ROOM 507 /* RFC 4918, 11.5: of disk or quota, which waiting does not help */

int reply_send(int stream, const void *bytes, size_t len)
{
	for (const char *at = bytes; len > 0;) {
		ssize_t n = send(stream, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int add_number(struct buf *message, const char *name, long long value, struct error *err)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", value);
	return message_add(message, name, text, err);
}

int reply_begin(int stream, const struct reply_head *head)
{
	AUTO(buf_done) struct buf message = {0};
	unsigned char length[2];
	struct error err;

	if (add_number(&message, "STATUS", head->status, &err) < 0 ||
	    add_number(&message, "LENGTH", head->length, &err) < 0 ||
	    (head->etag && (message_add(&message, "ETAG", head->etag, &err) < 0 ||
			    add_number(&message, "FIRST", head->first, &err) < 0 ||
			    add_number(&message, "TOTAL", head->total, &err) < 0)))
		return -1;
	length[0] = (unsigned char)(message.len >> 8);
	length[1] = (unsigned char)message.len;
	if (reply_send(stream, length, sizeof(length)) < 0)
		return -1;
	return reply_send(stream, message.data, message.len);
}

int reply_json(int stream, int status, const struct buf *body)
{
	if (reply_begin(stream,
			&(struct reply_head){.status = status, .length = (long long)body->len}) < 0)
		return -1;
	return reply_send(stream, body->data, body->len);
}

int reply_offset(int stream, long long offset)
{
	AUTO(buf_done) struct buf body = {0};
	struct error err;

	if (buf_printf(&body, &err, "{\"offset\":%lld}", offset) < 0)
		return -1;
	return reply_json(stream, 200, &body);
}

int reply_error(int stream, const struct error *why, long long offset)
{
	int status = why->code == ERR_STORE ? STATUS_NO_ROOM : error_http_status(why->code);
	AUTO(buf_done) struct buf body = {0};
	struct error err;

	if (buf_append_text(&body, "{\"error\":", &err) < 0 ||
	    json_append_string(&body, why->message, &err) < 0 ||
	    (offset >= 0 && buf_printf(&body, &err, ",\"offset\":%lld", offset) < 0) ||
	    buf_append_text(&body, "}", &err) < 0)
		return -1;
	return reply_json(stream, status, &body);
}
