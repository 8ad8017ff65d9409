/* What libwebsockets leaves to us, each found by trying: chunked request bodies arrive raw and
 * never complete; "Expect: 100-continue" is not answered; a POST without any length waits for a
 * body that will not come; lws_write() may be called once per WRITEABLE callback only. Where its
 * idea of the body is not ours, the connection is closed after the answer rather than trusted
 * again. It also takes the head of a pipelined request for its body, and then goes round for ever:
 * see may_be_pipelined(). */
#include "common/http-server.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/http-chunked.h"
#include "common/json.h"
#include "common/list.h"
#include "common/log.h"

#define WRITE_MAX_BYTES 32768
#define HEAD_MAX_BYTES 2048
#define HEADER_MAX_BYTES 16384
#define BODY_TIMEOUT_S 20
#define WRITE_TIMEOUT_S 20
#define LINGER_TIMEOUT_S 5

struct http_server {
	struct ws_role role; /* first: ws.c finds it through the vhost */
	struct lws_vhost *vhost;
	struct lws_protocols protocols[3];
	char *unix_path;
	size_t body_max_bytes;
	void (*request)(struct http_request *request, void *userdata);
	void *userdata;
};

/* One request with its answer. It lives until both the connection and the program are done with it.
 */
struct exchange {
	struct http_request request; /* first: the program has a pointer to this */
	struct lws *wsi;             /* NULL once the peer is gone */
	struct http_server *server;
	char *path, *query, *authorization, *content_type;
	struct http_chunked chunked;
	bool is_chunked;
	bool is_dispatched; /* the program has it, and owes an answer */
	bool is_answered;
	bool close_after;
	bool is_refused;
	bool is_lingering; /* answered; what still comes of the body is read and dropped */
	struct buf head;
	struct buf body;
	size_t sent;
};

struct connection {
	struct exchange *exchange;
};

static void exchange_free(struct exchange *x)
{
	if (!x)
		return;
	free(x->path);
	free(x->query);
	free(x->authorization);
	free(x->content_type);
	free(x->request.peer_groups);
	buf_done(&x->request.body);
	buf_done(&x->head);
	buf_done(&x->body);
	free(x);
}

/* --- reading -----------------------------------------------------------------------------------
 */

static char *copy_header(struct lws *wsi, enum lws_token_indexes token)
{
	int len = lws_hdr_total_length(wsi, token);
	char *text = malloc((size_t)len + 1);

	if (!text)
		return NULL;
	if (len == 0 || lws_hdr_copy(wsi, text, len + 1, token) < 0)
		text[0] = '\0';
	return text;
}

/* The query arrives as fragments split at '&'. */
static char *copy_query(struct lws *wsi)
{
	struct buf query = {0};
	char fragment[HEADER_MAX_BYTES];
	struct error err;
	int n;

	for (int i = 0; (n = lws_hdr_copy_fragment(wsi, fragment, sizeof(fragment),
						   WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0;
	     i++) {
		if ((i > 0 && buf_append_text(&query, "&", &err) < 0) ||
		    buf_append(&query, fragment, (size_t)n, &err) < 0) {
			buf_done(&query);
			return NULL;
		}
	}
	return buf_steal(&query);
}

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

static const char *method_name(int method)
{
	static const char *const names[] = {
		[LWSHUMETH_GET] = "GET",     [LWSHUMETH_POST] = "POST",
		[LWSHUMETH_PUT] = "PUT",     [LWSHUMETH_OPTIONS] = "OPTIONS",
		[LWSHUMETH_PATCH] = "PATCH", [LWSHUMETH_DELETE] = "DELETE",
		[LWSHUMETH_HEAD] = "HEAD",
	};

	return method >= 0 && (size_t)method < ARRAY_SIZE(names) ? names[method] : NULL;
}

static int read_head(struct exchange *x, struct lws *wsi)
{
	struct http_request *request = &x->request;
	char *uri = NULL;
	int uri_len = 0;
	int method = lws_http_get_uri_and_method(wsi, &uri, &uri_len);

	while (uri_len > 1 && uri[0] == '/' && uri[1] == '/') {
		uri++;
		uri_len--;
	}
	request->method = method_name(method);
	x->path = strndup(uri ? uri : "", (size_t)uri_len);
	x->query = copy_query(wsi);
	x->authorization = copy_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
	x->content_type = copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE);
	if (!request->method || !x->path || !x->query || !x->authorization || !x->content_type)
		return -1;
	request->path = x->path;
	request->query = x->query;
	request->authorization = x->authorization;
	request->has_authorization = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION) > 0;
	request->content_type = x->content_type;
	if (x->server->unix_path)
		return read_unix_peer(request, lws_get_socket_fd(wsi));
	request->peer_uid = (uid_t)-1;
	ws_read_peer_address(wsi, request->peer_address, sizeof(request->peer_address));
	return 0;
}

static int dispatch(struct exchange *x)
{
	x->is_dispatched = true;
	/* From here on the program answers for the time it takes, not the library. */
	lws_set_timeout(x->wsi, NO_PENDING_TIMEOUT, 0);
	/* Until the answer nothing more is read: the library would wake up for it again and again.
	 */
	(void)lws_rx_flow_control(x->wsi, 0);
	x->server->request(&x->request, x->server->userdata);
	return 0;
}

/* Refuse before the program has seen anything; what still comes of the body is not read. */
static int refuse(struct exchange *x, const struct error *err)
{
	x->is_dispatched = true;
	x->close_after = true;
	x->is_refused = true;
	lws_set_timeout(x->wsi, NO_PENDING_TIMEOUT, 0);
	http_reply_error(&x->request, err, NULL);
	return 0;
}

static bool wants_continue(struct lws *wsi)
{
	char value[32] = "";

	(void)lws_hdr_copy(wsi, value, sizeof(value), WSI_TOKEN_HTTP_EXPECT);
	return strncasecmp(value, "100-continue", 12) == 0;
}

static int send_continue(struct lws *wsi)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
	unsigned char bytes[LWS_PRE + sizeof(line)];

	memcpy(bytes + LWS_PRE, line, sizeof(line) - 1);
	return lws_write(wsi, bytes + LWS_PRE, sizeof(line) - 1, LWS_WRITE_HTTP_HEADERS) < 0 ? -1
											     : 0;
}

static int on_head(struct connection *connection, struct lws *wsi)
{
	struct exchange *x = calloc(1, sizeof(*x));
	AUTO(free_p) char *length = copy_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
	AUTO(free_p) char *coding = copy_header(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING);
	struct error err;

	if (!x || !length || !coding) {
		free(x);
		return -1;
	}
	exchange_free(connection->exchange);
	connection->exchange = x;
	x->wsi = wsi;
	x->server = lws_get_vhost_user(lws_get_vhost(wsi));
	if (read_head(x, wsi) < 0)
		return -1;
	x->is_chunked = coding[0] != '\0';
	if (x->is_chunked && (length[0] || strcasecmp(coding, "chunked") != 0)) {
		(void)error_set(&err, ERR_INVALID, "Transfer-Encoding '%s' is not supported%s",
				coding, length[0] ? " together with Content-Length" : "");
		return refuse(x, &err);
	}
	if (length[0] && length[strspn(length, "0123456789")]) {
		(void)error_set(&err, ERR_INVALID, "Content-Length is not a number");
		return refuse(x, &err);
	}
	if (strtoull(length, NULL, 10) > x->server->body_max_bytes) {
		(void)error_set(&err, ERR_TOO_LARGE, "the body is larger than %zu bytes",
				x->server->body_max_bytes);
		return refuse(x, &err);
	}
	if (!x->is_chunked && strtoull(length, NULL, 10) == 0) {
		x->close_after = !length[0] && strcmp(x->request.method, "GET") != 0 &&
				 strcmp(x->request.method, "HEAD") != 0;
		return dispatch(x);
	}
	if (x->is_chunked)
		x->close_after = true;
	lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, BODY_TIMEOUT_S);
	return wants_continue(wsi) ? send_continue(wsi) : 0;
}

static int on_body(struct exchange *x, const char *bytes, size_t len)
{
	bool is_done = false;
	struct error err;

	if (x->is_dispatched)
		return 0; /* refused already, or bytes after the last chunk */
	if (!x->is_chunked)
		return buf_append(&x->request.body, bytes, len, &err);
	if (http_chunked_feed(&x->chunked, bytes, len, x->server->body_max_bytes, &x->request.body,
			      &is_done, &err) < 0)
		return refuse(x, &err);
	return is_done ? dispatch(x) : 0;
}

/* --- answering ---------------------------------------------------------------------------------
 */

static const char *status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 201:
		return "Created";
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
	case 413:
		return "Content Too Large";
	case 429:
		return "Too Many Requests";
	case 503:
		return "Service Unavailable";
	default:
		return status < 500 ? "Error" : "Internal Server Error";
	}
}

static int write_head(struct exchange *x, int status, const char *content_type,
		      const struct http_header *headers, struct error *err)
{
	static const unsigned char room[LWS_PRE];

	if (buf_append(&x->head, room, LWS_PRE, err) < 0 ||
	    buf_printf(&x->head, err,
		       "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", status,
		       status_text(status), content_type, x->body.len) < 0)
		return -1;
	for (; headers && headers->name; headers++) {
		if (buf_printf(&x->head, err, "%s: %s\r\n", headers->name, headers->value) < 0)
			return -1;
	}
	return 0;
}

void http_reply(struct http_request *request, int status, const char *content_type,
		struct buf *body, const struct http_header *headers)
{
	struct exchange *x = (struct exchange *)(void *)request;
	struct error err;

	if (!x->wsi) {
		buf_done(body);
		exchange_free(x);
		return;
	}
	x->body = *body;
	*body = (struct buf){0};
	x->is_answered = true;
	if (write_head(x, status, content_type, headers, &err) < 0) {
		lws_set_timeout(x->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC);
		return;
	}
	lws_set_timeout(x->wsi, PENDING_TIMEOUT_HTTP_CONTENT, WRITE_TIMEOUT_S);
	(void)lws_rx_flow_control(x->wsi, 1);
	(void)lws_callback_on_writable(x->wsi);
}

void http_reply_error(struct http_request *request, const struct error *err,
		      const struct http_header *headers)
{
	struct buf body = {0};
	struct error ignored;

	if (buf_append_text(&body, "{\"error\":", &ignored) < 0 ||
	    json_append_string(&body, err->message, &ignored) < 0 ||
	    buf_append_text(&body, "}", &ignored) < 0)
		buf_done(&body);
	http_reply(request, error_http_status(err->code), "application/json", &body, headers);
}

static int finish(struct connection *connection)
{
	struct exchange *x = connection->exchange;
	struct lws *wsi = x->wsi;
	bool close_after = x->close_after;

	/* Closing now would make the peer's system throw our answer away while the body is still on
	 * its way. */
	if (x->is_refused) {
		x->is_lingering = true;
		lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, LINGER_TIMEOUT_S);
		return 0;
	}
	connection->exchange = NULL;
	exchange_free(x);
	if (close_after)
		return -1;
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* May the peer have sent more than the request that is being answered? A second request that is
 * read from what was left over of the first would hang libwebsockets if it has a body, so there
 * must be none: the connection ends with this answer, and a client that pipelines repeats what was
 * not answered (RFC 9112, 9.3.2). The library tells only whether any connection that is not held
 * back has input that it has not looked at, so now and then another one is told to connect again
 * for nothing. */
static bool may_be_pipelined(struct lws *wsi)
{
	return lws_service_adjust_timeout(lws_get_context(wsi), 1, 0) == 0;
}

/* Head and the beginning of the body leave together; the rest in pieces. */
static int on_writable(struct connection *connection)
{
	struct exchange *x = connection->exchange;
	bool is_head_request;
	size_t n;
	unsigned char piece[LWS_PRE + WRITE_MAX_BYTES];
	struct error err;

	if (!x || !x->is_answered || x->is_lingering)
		return 0;
	x->close_after = x->close_after || may_be_pipelined(x->wsi);
	is_head_request = strcmp(x->request.method, "HEAD") == 0;
	lws_set_timeout(x->wsi, PENDING_TIMEOUT_HTTP_CONTENT, WRITE_TIMEOUT_S);
	if (x->head.len > 0) {
		n = x->body.len < WRITE_MAX_BYTES - HEAD_MAX_BYTES ? x->body.len : 0;
		if (is_head_request)
			n = 0;
		if (buf_printf(&x->head, &err, "%s\r\n",
			       x->close_after ? "Connection: close\r\n" : "") < 0 ||
		    buf_append(&x->head, x->body.data, n, &err) < 0 ||
		    lws_write(x->wsi, (unsigned char *)x->head.data + LWS_PRE,
			      x->head.len - LWS_PRE, LWS_WRITE_HTTP_HEADERS) < 0)
			return -1;
		x->sent = n;
		buf_done(&x->head);
	} else {
		n = x->body.len - x->sent < WRITE_MAX_BYTES ? x->body.len - x->sent
							    : WRITE_MAX_BYTES;
		memcpy(piece + LWS_PRE, x->body.data + x->sent, n);
		if (lws_write(x->wsi, piece + LWS_PRE, n, LWS_WRITE_HTTP) < 0)
			return -1;
		x->sent += n;
	}
	if (x->sent == x->body.len || is_head_request)
		return finish(connection);
	(void)lws_callback_on_writable(x->wsi);
	return 0;
}

static void on_closed(struct connection *connection)
{
	struct exchange *x = TAKE(connection->exchange);

	if (x && x->is_dispatched && !x->is_answered)
		x->wsi = NULL; /* http_reply() frees it */
	else
		exchange_free(x);
}

/* libwebsockets would let a peer that offers nothing of ours talk to protocol 0, which is HTTP. */
static bool offers_protocol(struct lws *wsi, const struct ws_handler *handler)
{
	AUTO(free_p) char *offered = copy_header(wsi, WSI_TOKEN_PROTOCOL);
	char *rest = NULL;

	for (char *name = offered ? strtok_r(offered, ", \t", &rest) : NULL; name;
	     name = strtok_r(NULL, ", \t", &rest)) {
		if (strcmp(name, handler->protocol) == 0)
			return true;
	}
	return false;
}

static bool is_link_path(const struct http_server *server, struct lws *wsi)
{
	AUTO(free_p) char *path = copy_header(wsi, WSI_TOKEN_GET_URI);

	return !server->role.handler->path ||
	       (path && strcmp(path, server->role.handler->path) == 0);
}

/* Refuse an upgrade; libwebsockets ends the transaction when this returns 1. It would also go on
 * to HTTP/2, where none of what is known here about requests and connections holds. */
static int on_upgrade(struct lws *wsi, const char *to)
{
	struct http_server *server = lws_get_vhost_user(lws_get_vhost(wsi));
	AUTO(free_p) char *authorization = copy_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
	unsigned char head[LWS_PRE + HEAD_MAX_BYTES];
	int status = 404, n;

	if (strcasecmp(to, "websocket") == 0 && server->role.handler && authorization &&
	    is_link_path(server, wsi) && offers_protocol(wsi, server->role.handler))
		status = server->role.handler->authorize
				 ? server->role.handler->authorize(authorization,
								   server->role.userdata)
				 : 0;
	if (status == 0)
		return 0;
	n = snprintf((char *)head + LWS_PRE, HEAD_MAX_BYTES,
		     "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status,
		     status_text(status));
	if (lws_write(wsi, head + LWS_PRE, (size_t)n, LWS_WRITE_HTTP_HEADERS) < 0)
		return -1;
	return 1;
}

static int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
			 size_t len)
{
	struct connection *connection = session;

	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return on_head(connection, wsi);
	case LWS_CALLBACK_HTTP_BODY:
		return connection->exchange ? on_body(connection->exchange, in, len) : -1;
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		if (!connection->exchange || connection->exchange->is_lingering)
			return -1;
		return connection->exchange->is_dispatched ? 0 : dispatch(connection->exchange);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return on_writable(connection);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return on_upgrade(wsi, in ? in : "");
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
		if (connection)
			on_closed(connection);
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, session, in, len);
	}
}

/* --- the listener ------------------------------------------------------------------------------
 */

static void fill_info(const struct http_server *server, const struct http_server_options *options,
		      struct lws_context_creation_info *info)
{
	info->protocols = server->protocols;
	info->user = (void *)server;
	info->alpn = "http/1.1";
	info->timeout_secs = 20;
	info->keepalive_timeout = 60;
	info->retry_and_idle_policy = &ws_idle_policy;
	if (options->unix_path) {
		info->options = LWS_SERVER_OPTION_UNIX_SOCK;
		info->iface = options->unix_path;
		return;
	}
	info->iface = options->bind_host;
	info->port = options->port;
	info->options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
			LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	info->ssl_cert_filepath = options->certificate_file;
	info->ssl_private_key_filepath = options->key_file;
	info->ssl_options_set = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_RENEGOTIATION |
				SSL_OP_NO_COMPRESSION;
	info->ssl_cipher_list = "ECDHE+AESGCM:ECDHE+CHACHA20";
}

static int listen_on(struct loop *loop, struct http_server *server,
		     const struct http_server_options *options, struct error *err)
{
	struct lws_context_creation_info info = {
		.vhost_name = options->unix_path ? "unix" : options->bind_host};
	mode_t mask = 0;

	fill_info(server, options, &info);
	/* Who may connect does not depend on the umask we were started with; who it is tells
	 * SO_PEERCRED. Set before bind(), so there is no moment with another mode. */
	if (options->unix_path) {
		(void)unlink(options->unix_path);
		mask = umask(options->is_private ? 0177 : 0111);
	}
	server->vhost = lws_create_vhost(loop->lws, &info);
	if (options->unix_path)
		(void)umask(mask);
	if (server->vhost && options->unix_path && access(options->unix_path, F_OK) < 0)
		server->vhost = NULL;
	if (!server->vhost && options->unix_path)
		return error_set(err, ERR_SYSTEM, "cannot listen on %s", options->unix_path);
	if (!server->vhost)
		return error_set(err, ERR_SYSTEM,
				 "cannot listen on %s port %d (is the port taken?)",
				 options->bind_host, options->port);
	return 0;
}

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
				    struct error *err)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (!server) {
		(void)error_oom(err);
		return NULL;
	}
	server->role = (struct ws_role){options->ws, options->ws_userdata ? options->ws_userdata
									  : options->userdata};
	server->userdata = options->userdata;
	server->body_max_bytes = options->body_max_bytes;
	server->request = options->request;
	server->protocols[0] = (struct lws_protocols){
		.name = "http",
		.callback = http_callback,
		.per_session_data_size = sizeof(struct connection),
	};
	if (options->ws)
		server->protocols[1] = (struct lws_protocols){
			.name = options->ws->protocol,
			.callback = ws_callback,
			.per_session_data_size = WS_SESSION_BYTES,
			.rx_buffer_size = 4096,
		};
	if (options->unix_path) {
		server->unix_path = strdup(options->unix_path);
		if (!server->unix_path)
			(void)error_oom(err);
	}
	if ((options->unix_path && !server->unix_path) ||
	    listen_on(loop, server, options, err) < 0) {
		http_server_free(server);
		return NULL;
	}
	return server;
}

void http_server_free(struct http_server *server)
{
	if (!server)
		return;
	if (server->unix_path)
		(void)unlink(server->unix_path);
	free(server->unix_path);
	free(server);
}

/* --- forms -------------------------------------------------------------------------------------
 */

static int hex_value(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

static char *form_decode(const char *text, size_t len)
{
	char *value = malloc(len + 1), *out = value;

	for (size_t i = 0; value && i < len; i++) {
		/* "%00" stays as it is: a NUL would hide what follows it */
		if (text[i] == '%' && i + 2 < len && hex_value(text[i + 1]) >= 0 &&
		    hex_value(text[i + 2]) >= 0 && strncmp(text + i, "%00", 3) != 0) {
			*out++ = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
			i += 2;
		} else {
			*out++ = text[i] == '+' ? ' ' : text[i];
		}
	}
	if (value)
		*out = '\0';
	return value;
}

char *http_form_value(const char *form, const char *name)
{
	size_t name_len = strlen(name);

	for (const char *p = form; *p; p += strcspn(p, "&"), p += *p == '&') {
		if (strncmp(p, name, name_len) == 0 && p[name_len] == '=')
			return form_decode(p + name_len + 1, strcspn(p + name_len + 1, "&"));
	}
	return NULL;
}
