/* A connection reads one request after the other: head, body, answer, and the next. What a peer sends
 * before it has its answer waits in connection::input, and when that is full in the system. */
#include "common/http-exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/http-head.h"
#include "common/log.h"
#include "common/text.h"
#include "common/ws-server.h"

#define INPUT_MAX_BYTES 65536 /* that are read ahead of a request */
/* Who is not let in may send a body nevertheless. All of them together are no more than so many of the
 * greatest size; small ones always have room, there being no more of them than connections. */
#define GREAT_BODIES_MAX 32
#define SMALL_BODY_BYTES 65536
#define HEAD_TIMEOUT_MS 20000
#define BODY_TIMEOUT_MS 20000 /* for its next bytes, and for all of it, but that grows by */
#define BODY_MS_PER_16_KIB 1000

static void exchange_free_p(struct exchange **x)
{
	exchange_free(*x);
}

static void refuse_error(struct connection *c, const struct error *err)
{
	http_refuse(c, error_http_status(err->code), err->message);
}

/* --- reading -----------------------------------------------------------------------------------
 */

static int read_unix_peer(struct http_request *request, int fd)
{
	struct ucred credentials;
	socklen_t len = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) < 0)
		return -1;
	request->peer_uid = credentials.uid;
	len = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) < 0 && errno != ERANGE)
		return -1;
	request->peer_groups = malloc(len + sizeof(gid_t));
	if (!request->peer_groups)
		return -1;
	if (len > 0 && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, request->peer_groups, &len) < 0)
		return -1;
	request->n_peer_groups = len / sizeof(gid_t);
	request->peer_groups[request->n_peer_groups++] = credentials.gid;
	return 0;
}

static int read_length(const struct http_head *head, struct exchange *x, struct error *err)
{
	const char *length, *coding;
	size_t n_digits;

	if (http_head_field(head, "Content-Length", &length, err) < 0 ||
	    http_head_field(head, "Transfer-Encoding", &coding, err) < 0)
		return -1;
	x->is_chunked = coding != NULL;
	if (coding && (length || head->is_1_0 || strcasecmp(coding, "chunked") != 0))
		return error_set(err, ERR_INVALID, "Transfer-Encoding '%s' is not supported%s",
				 coding,
				 length         ? " together with Content-Length"
				 : head->is_1_0 ? " in HTTP/1.0"
						: "");
	if (!length)
		return 0;
	n_digits = strspn(length, "0123456789");
	if (n_digits == 0 || length[n_digits])
		return error_set(err, ERR_INVALID, "Content-Length is not a number");
	x->request.content_length =
		strtoull(length, NULL, 10); /* one that overflows is too large, too */
	return 0;
}

/* Is this one to be told piece by piece? If not, its body must not be large. */
static int choose_flow(struct exchange *x, struct error *err)
{
	const struct http_server *server = x->connection->server;

	x->flow = server->flow ? server->flow(&x->request, server->userdata) : NULL;
	if (x->flow && x->is_chunked)
		return error_set(err, ERR_INVALID, "a Content-Length is expected here");
	if (!x->flow && x->request.content_length > server->body_max_bytes)
		return error_set(err, ERR_TOO_LARGE, "the body is larger than %zu bytes",
				 server->body_max_bytes);
	return 0;
}

static int read_request(const struct http_head *head, struct exchange *x, struct error *err)
{
	struct connection *c = x->connection;
	struct http_request *request = &x->request;
	const char *authorization, *content_type, *host, *range, *if_range;

	if (http_head_field(head, "Authorization", &authorization, err) < 0 ||
	    http_head_field(head, "Content-Type", &content_type, err) < 0 ||
	    http_head_field(head, "Host", &host, err) < 0 ||
	    http_head_field(head, "Range", &range, err) < 0 ||
	    http_head_field(head, "If-Range", &if_range, err) < 0 || read_length(head, x, err) < 0)
		return -1;
	request->authorization = authorization ? authorization : "";
	request->forwarded_for = http_head_last_field(head, "X-Forwarded-For");
	request->content_type = content_type ? content_type : "";
	request->range = range ? range : "";
	request->if_range = if_range ? if_range : "";
	request->method = head->method;
	request->path = head->path;
	request->query = head->query;
	request->has_authorization = request->authorization[0] != '\0';
	x->is_head = strcmp(head->method, "HEAD") == 0;
	x->is_1_0 = head->is_1_0;
	x->close_after = head->is_1_0 ? !http_head_has_token(head, "Connection", "keep-alive")
				      : http_head_has_token(head, "Connection", "close");
	request->peer_uid = (uid_t)-1;
	if (c->server->is_unix && read_unix_peer(request, stream_fd(c->stream)) < 0)
		return error_errno(err, "who is there");
	memcpy(request->peer_address, c->peer_address, sizeof(c->peer_address));
	return choose_flow(x, err);
}

static void dispatch(struct exchange *x)
{
	struct connection *c = x->connection;

	x->is_dispatched = true;
	x->server->n_open++;
	x->request.began_ns = uv_hrtime();
	c->server->request(&x->request, c->server->userdata);
}

/* --- to WebSocket ------------------------------------------------------------------------------
 */

static bool is_upgrade(const struct connection *c, const struct http_head *head)
{
	return c->server->role.handler && http_head_has_token(head, "Upgrade", "websocket") &&
	       http_head_has_token(head, "Connection", "upgrade");
}

/* 0, or the status of a refusal. */
static int judge_upgrade(const struct connection *c, const struct http_head *head,
			 const struct exchange *x, const char *key)
{
	const struct ws_handler *handler = c->server->role.handler;
	AUTO(buf_done) struct buf nonce = {0};
	struct error err;

	if (handler->path && strcmp(head->path, handler->path) != 0)
		return 404;
	if (!http_head_has_token(head, "Sec-WebSocket-Protocol", handler->protocol))
		return WS_STATUS_OTHER_PROTOCOL;
	if (strcmp(head->method, "GET") != 0 || head->is_1_0 || x->is_chunked ||
	    x->request.content_length > 0 ||
	    !http_head_has_token(head, "Sec-WebSocket-Version", "13"))
		return 400;
	if (!key || strlen(key) != 24 || base64_decode(key, &nonce, &err) < 0 || nonce.len != 16)
		return 400;
	return handler->authorize
		       ? handler->authorize(x->request.authorization, c->server->role.userdata)
		       : 0;
}

/* A peer of another release: both sides are to know why they do not come together. */
static void refuse_protocol(struct connection *c, const struct http_head *head)
{
	const char *theirs = http_head_last_field(head, "Sec-WebSocket-Protocol");
	struct error err;

	(void)error_set(&err, ERR_UNSUPPORTED,
			"the WebSocket protocol here is %s, and the peer speaks '%.80s'",
			c->server->role.handler->protocol, theirs ? theirs : "");
	if (log_limit_passes(&c->server->refusals, "connections refused"))
		log_info("connection of %s refused: %s", c->peer_address, err.message);
	http_refuse(c, WS_STATUS_OTHER_PROTOCOL, err.message);
}

/* The connection is handed over, and this half of it ends. */
static void upgrade(struct connection *c, const struct http_head *head, struct exchange *x,
		    const char *bytes, size_t len)
{
	const char *key = NULL;
	char accept[29], answer[256];
	struct error err = {0};
	int n, status = http_head_field(head, "Sec-WebSocket-Key", &key, &err) < 0
				? 400
				: judge_upgrade(c, head, x, key);

	if (status == WS_STATUS_OTHER_PROTOCOL) {
		refuse_protocol(c, head);
		return;
	}
	if (status) {
		http_refuse(c, status, http_status_text(status));
		return;
	}
	ws_server_accept_key(key, accept);
	n = snprintf(answer, sizeof(answer),
		     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
		     "Sec-WebSocket-Protocol: %s\r\n\r\n",
		     accept, c->server->role.handler->protocol);
	stream_write(c->stream, answer, (size_t)n);
	if (ws_server_start(c->server->loop, c->stream, &c->server->role, x->request.authorization,
			    bytes, len, &err) < 0) {
		stream_abort(c->stream);
		return;
	}
	c->stream = NULL;
}

/* --- the input ---------------------------------------------------------------------------------
 */

/* A peer that sends a byte now and then holds its connection no longer than one that sends nothing. */
void http_limit_body(struct connection *c)
{
	const struct exchange *x = c->exchange;
	unsigned long long spent_ms = loop_now_ms(c->server->loop) - x->body_since_ms;
	unsigned long long limit_ms = BODY_TIMEOUT_MS + x->n_taken / 16384 * BODY_MS_PER_16_KIB;
	unsigned long long left_ms = limit_ms > spent_ms ? limit_ms - spent_ms : 1;

	stream_set_timeout(c->stream, left_ms < BODY_TIMEOUT_MS ? left_ms : BODY_TIMEOUT_MS);
}

/* A head is complete: from here on there is an exchange, unless it is refused. */
static void on_head(struct connection *c, size_t len)
{
	AUTO(exchange_free_p) struct exchange *x = calloc(1, sizeof(*x) + len + 1);
	struct http_head head;
	struct error err = {0};

	if (!x) {
		stream_abort(c->stream);
		return;
	}
	memcpy(x->text, c->input.data, len);
	x->connection = c;
	x->server = c->server;
	if (http_head_read(x->text, len, &head, &err) < 0) {
		http_refuse(c, err.code == ERR_LIMIT ? 431 : 400, err.message);
		return;
	}
	if (read_request(&head, x, &err) < 0) {
		refuse_error(c, &err);
		return;
	}
	if (is_upgrade(c, &head)) {
		upgrade(c, &head, x, c->input.data + len, c->input.len - len);
		return;
	}
	buf_consume(&c->input, len);
	c->exchange = TAKE(x);
	if (!c->exchange->is_chunked && c->exchange->request.content_length == 0)
		return;
	c->exchange->body_since_ms = loop_now_ms(c->server->loop);
	http_limit_body(c);
	if (c->input.len == 0 && !head.is_1_0 &&
	    http_head_has_token(&head, "Expect", "100-continue"))
		stream_write(c->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

/* What is there of a body goes on to the program. Is there more to do? */
static bool tell_body(struct connection *c)
{
	struct exchange *x = c->exchange;
	unsigned long long left = x->request.content_length - x->n_taken;
	size_t n = left < c->input.len ? (size_t)left : c->input.len;

	if (x->flow && n == 0 && left > 0 && c->has_ended)
		stream_abort(c->stream); /* it will never be whole */
	if (!x->flow || x->is_held || n == 0)
		return false;
	x->n_taken += n;
	if (n < left)
		http_limit_body(c);
	else
		stream_set_timeout(c->stream, 0);
	/* it may be answered now, which ends the exchange */
	x->flow->body(&x->request, c->input.data, n, n == left);
	buf_consume(&c->input, n);
	if (c->is_full && c->exchange && !c->exchange->is_held) {
		c->is_full = false;
		stream_set_reading(c->stream, true);
	}
	return true;
}

/* Is there a head to read? Also refuses one that is too large to come to an end. */
static bool take_head(struct connection *c)
{
	size_t blank = 0, len;

	/* RFC 9112, 2.2: empty lines before a request mean nothing. */
	while (c->n_seen == 0 && c->input.len - blank >= 2 &&
	       memcmp(c->input.data + blank, "\r\n", 2) == 0)
		blank += 2;
	buf_consume(&c->input, blank);
	if (c->input.len == 0 || (c->input.len == 1 && c->input.data[0] == '\r'))
		return false; /* what may be half an empty line has not begun a head */
	len = http_head_length(c->input.data, c->input.len, c->n_seen);
	if (len > HTTP_HEAD_MAX_BYTES || (len == 0 && c->input.len > HTTP_HEAD_MAX_BYTES)) {
		http_refuse(c, 431, "the head of the request is larger than 16384 bytes");
		return false;
	}
	if (len == 0 && c->n_seen == 0)
		stream_set_timeout(c->stream, HEAD_TIMEOUT_MS);
	c->n_seen = len ? 0 : c->input.len;
	if (len == 0)
		return false;
	on_head(c, len);
	return c->exchange != NULL;
}

static int count_body(struct exchange *x, struct error *err)
{
	struct http_server *server = x->server;
	struct buf *body = &x->request.body;

	server->n_body_bytes += body->len - x->n_counted;
	x->n_counted = body->len;
	if (body->len <= SMALL_BODY_BYTES ||
	    server->n_body_bytes <= GREAT_BODIES_MAX * server->body_max_bytes)
		return 0;
	server->n_body_bytes -= x->n_counted;
	x->n_counted = 0;
	buf_done(body);
	return error_set(err, ERR_UNAVAILABLE, "too many large requests at once");
}

/* Is the body complete? */
static bool take_body(struct connection *c)
{
	struct exchange *x = c->exchange;
	struct error err = {0};
	bool is_done = true;
	size_t n = 0;

	if (x->is_chunked) {
		if (http_chunked_feed(&x->chunked, c->input.data, c->input.len,
				      c->server->body_max_bytes, &x->request.body, &n, &is_done,
				      &err) < 0) {
			refuse_error(c, &err);
			return false;
		}
	} else {
		n = (size_t)x->request.content_length - x->request.body.len;
		n = n < c->input.len ? n : c->input.len;
		if (n > 0 && buf_append(&x->request.body, c->input.data, n, &err) < 0) {
			stream_abort(c->stream);
			return false;
		}
		is_done = x->request.body.len == x->request.content_length;
	}
	buf_consume(&c->input, n);
	x->n_taken = x->request.body.len;
	if (count_body(x, &err) < 0) {
		refuse_error(c, &err);
		return false;
	}
	if (!is_done && n > 0)
		http_limit_body(c);
	return is_done;
}

/* Go on as far as the input reaches, or to an answer that is not there yet. Called from the loop, and
 * last in whatever calls it: the connection may have become a WebSocket. */
static void take_input(struct connection *c)
{
	c->is_taking = true;
	while (c->stream && !stream_is_over(c->stream)) {
		if (!c->exchange && !take_head(c))
			break;
		if (c->exchange->is_dispatched) {
			if (!tell_body(c))
				break;
		} else if (c->exchange->flow || take_body(c)) {
			dispatch(c->exchange);
		} else {
			break;
		}
	}
	c->is_taking = false;
	if (c->stream && c->has_ended && !(c->exchange && c->exchange->is_dispatched))
		stream_finish(c->stream); /* no whole request is left */
	if (!c->stream || c->input.len == 0)
		buf_done(&c->input);
	if (!c->stream)
		free(c);
}

/* --- the connection ----------------------------------------------------------------------------
 */

static void *on_open(struct stream *stream, void *userdata)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->server = userdata;
	c->stream = stream;
	stream_peer_address(stream, c->peer_address, sizeof(c->peer_address));
	stream_set_timeout(stream, HEAD_TIMEOUT_MS);
	return c;
}

static void on_read(void *user, const char *bytes, size_t len)
{
	struct connection *c = user;
	struct error err;

	if (buf_append(&c->input, bytes, len, &err) < 0) {
		stream_abort(c->stream);
		return;
	}
	if (c->exchange && c->exchange->is_dispatched && c->input.len > INPUT_MAX_BYTES) {
		c->is_full = true;
		stream_set_reading(c->stream, false);
	}
	take_input(c);
}

static void on_end(void *user)
{
	struct connection *c = user;

	c->has_ended = true;
	take_input(c);
}

static void on_drained(void *user)
{
	struct connection *c = user;

	if (c->exchange && c->exchange->is_answered)
		http_go_on(c);
}

static void on_woken(void *user)
{
	take_input(user);
}

static void on_timeout(void *user)
{
	struct connection *c = user;

	if (c->exchange && c->exchange->is_answered)
		stream_abort(c->stream);                      /* it does not read its answer */
	else if (!c->exchange || !c->exchange->is_dispatched) /* else the program takes its time */
		stream_finish(c->stream);
	else if (c->exchange->flow && c->exchange->n_taken < c->exchange->request.content_length)
		stream_abort(c->stream);
}

static void on_closed(void *user)
{
	struct connection *c = user;
	struct exchange *x = c->exchange;

	if (x && x->flow)
		x->flow->gone(&x->request);
	if (x && x->is_dispatched && !x->is_answered && !x->flow)
		x->connection = NULL; /* http_reply() frees it */
	else
		exchange_free(x);
	buf_done(&c->input);
	free(c);
}

static const struct stream_handler stream_handler = {
	.open = on_open,
	.read = on_read,
	.end = on_end,
	.drained = on_drained,
	.woken = on_woken,
	.timeout = on_timeout,
	.closed = on_closed,
};

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
				    struct error *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	struct stream_options listening = {
		.unix_path = options->unix_path,
		.is_private = options->is_private,
		.bind_host = options->bind_host,
		.port = options->port,
		.tls = options->tls,
		.handler = &stream_handler,
		.userdata = server,
	};

	if (!server) {
		(void)error_oom(err);
		return NULL;
	}
	server->loop = loop;
	server->is_unix = options->unix_path != NULL;
	server->body_max_bytes = options->body_max_bytes;
	server->flow = options->flow;
	server->request = options->request;
	server->replied = options->replied;
	server->userdata = options->userdata;
	server->role = (struct ws_role){options->ws, options->ws_userdata ? options->ws_userdata
									  : options->userdata};
	server->listener = stream_listen(loop, &listening, err);
	if (server->listener)
		return server;
	free(server);
	return NULL;
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	stream_listener_free(server->listener);
	free(server);
}

size_t http_server_n_open(const struct http_server *server)
{
	return server->n_open;
}
