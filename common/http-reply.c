/* Answers of the HTTP server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/http-exchange.h"
#include "common/json.h"

#define PIECE_BYTES 65536
#define HEAD_ROOM_BYTES 512 /* enough for most heads of answers */
#define WRITE_TIMEOUT_MS 20000
#define KEEPALIVE_TIMEOUT_MS 60000

void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	if (x->is_dispatched)
		x->server->n_open--;
	x->server->n_body_bytes -= x->n_counted;
	free(x->request.peer_groups);
	buf_done(&x->request.body);
	buf_done(&x->body);
	free(x);
}

/* --- refusing ----------------------------------------------------------------------------------
 */

const char *http_status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 206:
		return "Partial Content";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 411:
		return "Length Required";
	case 413:
		return "Content Too Large";
	case 416:
		return "Range Not Satisfiable";
	case 426:
		return "Upgrade Required";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 507:
		return "Insufficient Storage";
	default:
		return status < 500 ? "Error" : "Internal Server Error";
	}
}

static struct buf error_body(const char *message)
{
	struct buf body = {0};
	struct error ignored;

	if (buf_append_text(&body, "{\"error\":", &ignored) < 0 ||
	    json_append_string(&body, message, &ignored) < 0 ||
	    buf_append_text(&body, "}", &ignored) < 0)
		buf_done(&body);
	return body;
}

/* Is HEAD the method of what may be no request at all? */
static bool begins_with_head(const struct connection *c)
{
	return c->input.len > 5 && memcmp(c->input.data, "HEAD ", 5) == 0;
}

void http_refuse(struct connection *c, int status, const char *message)
{
	AUTO(buf_done) struct buf body = error_body(message), text = {0};
	bool is_head = c->exchange ? c->exchange->is_head : begins_with_head(c);
	struct error err;

	if (buf_printf(&text, &err,
		       "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
		       "Content-Length: %zu\r\nConnection: close\r\n%s\r\n%s",
		       status, http_status_text(status), body.len,
		       status == 503 ? "Retry-After: 5\r\n" : "",
		       body.data && !is_head ? body.data : "") == 0)
		stream_write(c->stream, text.data, text.len);
	stream_finish(c->stream);
}

/* The peer wants nothing more. */
static bool is_at_end(const struct connection *c)
{
	return c->has_ended && c->input.len == 0;
}

/* --- answering ---------------------------------------------------------------------------------
 */

static int append_head(struct buf *text, const struct exchange *x, int status,
		       const char *content_type, const struct http_header *headers,
		       struct error *err)
{
	bool has_retry = false;

	if (buf_append_text(text, "HTTP/1.1 ", err) < 0 ||
	    json_append_integer(text, status, err) < 0 || buf_append(text, " ", 1, err) < 0 ||
	    buf_append_text(text, http_status_text(status), err) < 0 ||
	    buf_append_text(text, "\r\nContent-Length: ", err) < 0 ||
	    json_append_integer(text, (long long)x->size, err) < 0 ||
	    buf_append_text(text,
			    x->close_after ? "\r\nConnection: close"
			    : x->is_1_0    ? "\r\nConnection: keep-alive"
					   : "",
			    err) < 0 ||
	    buf_append_text(text, "\r\nContent-Type: ", err) < 0 ||
	    buf_append_text(text, content_type, err) < 0)
		return -1;
	for (; headers && headers->name; headers++) {
		has_retry = has_retry || strcasecmp(headers->name, "Retry-After") == 0;
		if (buf_printf(text, err, "\r\n%s: %s", headers->name, headers->value) < 0)
			return -1;
	}
	if (status == 503 && !has_retry && buf_append_text(text, "\r\nRetry-After: 5", err) < 0)
		return -1;
	return buf_append_text(text, "\r\n\r\n", err);
}

/* The answer has left: on to the next request, but not at once. Whoever answers may be in the middle of
 * something, and does not expect to be called. */
static void finish(struct connection *c)
{
	bool close_after = c->exchange->close_after || is_at_end(c);
	bool has_stopped = c->is_full || c->exchange->is_held;

	exchange_free(TAKE(c->exchange));
	if (close_after) {
		stream_finish(c->stream);
		return;
	}
	stream_set_timeout(c->stream, KEEPALIVE_TIMEOUT_MS);
	c->is_full = false;
	if (has_stopped)
		stream_set_reading(c->stream, true);
	if (c->input.len > 0 && !c->is_taking)
		stream_wake(c->stream);
}

/* As much of the answer as the system takes. Until the last byte has left nothing else is read, so a
 * peer that does not read its answers cannot make us pile them up. */
void http_go_on(struct connection *c)
{
	struct exchange *x = c->exchange;

	if (x->flow) {
		stream_set_timeout(c->stream, 0);
		x->flow->drained(&x->request);
		return;
	}
	while (!stream_is_waiting(c->stream) && x->sent < x->body.len) {
		size_t n = x->body.len - x->sent;

		n = n < PIECE_BYTES ? n : PIECE_BYTES;
		stream_write(c->stream, x->body.data + x->sent, n);
		x->sent += n;
	}
	if (stream_is_over(c->stream))
		return;
	if (stream_is_waiting(c->stream))
		stream_set_timeout(c->stream, WRITE_TIMEOUT_MS);
	else
		finish(c);
}

/* From here on the exchange is ours alone. What is left of a body that nobody will take can only be thrown
 * away with the connection. */
static void take_over(struct exchange *x)
{
	const struct connection *c = x->connection;
	bool is_cut_short = x->flow && x->n_taken < x->request.content_length;

	x->is_answered = true;
	x->flow = NULL;
	x->close_after = x->close_after || is_cut_short || (c && is_at_end(c));
}

/* Head and the beginning of the body leave together. */
void http_reply(struct http_request *request, int status, const char *content_type,
		struct buf *body, const struct http_header *headers)
{
	struct exchange *x = (struct exchange *)(void *)request;
	struct connection *c = x->connection;
	AUTO(buf_done) struct buf text = {0};
	struct error err;
	size_t n;

	take_over(x);
	if (x->server->replied)
		x->server->replied(request, status, body, x->server->userdata);
	x->body = *body;
	x->size = x->body.len;
	*body = (struct buf){0};
	if (!c) {
		exchange_free(x);
		return;
	}
	n = x->is_head ? 0 : x->body.len < PIECE_BYTES ? x->body.len : PIECE_BYTES;
	if (buf_reserve(&text, n + HEAD_ROOM_BYTES, &err) < 0 ||
	    append_head(&text, x, status, content_type, headers, &err) < 0 ||
	    buf_append(&text, x->body.data, n, &err) < 0) {
		stream_abort(c->stream);
		return;
	}
	stream_write(c->stream, text.data, text.len);
	x->sent = x->is_head ? x->body.len : n;
	http_go_on(c);
}

void http_reply_error(struct http_request *request, const struct error *err,
		      const struct http_header *headers)
{
	static const struct http_header later[] = {{"Retry-After", "5"}, {NULL, NULL}};
	struct buf body = error_body(err->message);
	int status = error_http_status(err->code);

	request->note.failure = err->message;
	http_reply(request, status, "application/json", &body,
		   status == 503 && !headers ? later : headers);
}

/* --- piece by piece ----------------------------------------------------------------------------
 */

bool http_reply_begin(struct http_request *request, const struct http_reply_head *head)
{
	struct exchange *x = (struct exchange *)(void *)request;
	struct connection *c = x->connection;
	const struct http_flow *flow = x->flow;
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	take_over(x);
	x->size = head->size;
	if (append_head(&text, x, head->status, head->content_type, head->headers, &err) < 0) {
		stream_abort(c->stream);
		return false;
	}
	stream_set_timeout(c->stream, 0);
	stream_write(c->stream, text.data, text.len);
	if (!x->is_head && x->size > 0) {
		x->flow = flow;
		return true;
	}
	x->sent = x->size;
	http_go_on(c);
	return false;
}

bool http_send(struct http_request *request, const void *bytes, size_t len)
{
	struct exchange *x = (struct exchange *)(void *)request;
	struct connection *c = x->connection;

	stream_write(c->stream, bytes, len);
	x->sent += len;
	if (stream_is_waiting(c->stream))
		stream_set_timeout(c->stream, WRITE_TIMEOUT_MS);
	if (x->sent < x->size)
		return true;
	x->flow = NULL;
	http_go_on(c);
	return false;
}

bool http_is_waiting(const struct http_request *request)
{
	return stream_is_waiting(
		((const struct exchange *)(const void *)request)->connection->stream);
}

void http_hold(struct http_request *request, bool is_held)
{
	struct exchange *x = (struct exchange *)(void *)request;
	struct connection *c = x->connection;

	if (x->is_held == is_held)
		return;
	x->is_held = is_held;
	stream_set_reading(c->stream, !is_held);
	if (is_held) {
		x->held_since_ms = loop_now_ms(c->server->loop);
		stream_set_timeout(c->stream, 0);
		return;
	}
	/* that was our time, not the peer's */
	x->body_since_ms += loop_now_ms(c->server->loop) - x->held_since_ms;
	c->is_full = false;
	if (x->n_taken < x->request.content_length)
		http_limit_body(c);
	if (!c->is_taking)
		stream_wake(c->stream);
}

void http_abort(struct http_request *request)
{
	struct exchange *x = (struct exchange *)(void *)request;

	x->is_answered = true;
	x->flow = NULL;
	stream_abort(x->connection->stream);
}
