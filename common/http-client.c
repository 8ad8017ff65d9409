#include "common/http-client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/http-server.h"
#include "common/ws-client.h"

struct http_client {
	struct ws_role role; /* first: ws-client.c finds it through the vhost */
	struct loop *loop;
	struct lws_vhost *vhost;
	struct lws_protocols protocols[3];
	bool is_strict, is_plain;
	unsigned timeout_s;
	long long certificate_end_s, server_time_s;
	char *ca_file;                  /* NULL: the authorities of the system */
	struct stat ca_status;          /* of the file that was read */
	unsigned n_vhosts;              /* that were made */
	const struct attempt *starting; /* whose connection is just being begun */
};

/* One request from the look-up of the name to its answer, or to the moment when a link stands. */
struct attempt {
	struct http_client *client;
	uv_getaddrinfo_t lookup;
	struct addrinfo *found; /* addresses of the host, tried one after the other */
	const struct addrinfo *next;
	char *host, *path, *authorization, *content_type, *header, *header_value;
	const char *method; /* NULL: a link */
	int port;
	struct buf body;
	http_response_fn respond;
	http_connect_failed_fn failed;
	void *userdata;
	int status;
	struct buf response;
	struct error err; /* why the connection was given up by us */
};

static bool is_link(const struct attempt *a)
{
	return !a->method;
}

static void attempt_free(struct attempt *a)
{
	if (!a)
		return;
	free(a->host);
	free(a->path);
	free(a->authorization);
	free(a->content_type);
	free(a->header);
	free(a->header_value);
	buf_done(&a->body);
	buf_done(&a->response);
	uv_freeaddrinfo(a->found);
	free(a);
}

static void attempt_free_p(struct attempt **a)
{
	attempt_free(*a);
}

/* The end of an attempt, with an answer or without. */
static void finish(struct attempt *a, const struct error *err)
{
	if (a->client->loop->is_stopping)
		;
	else if (is_link(a))
		a->failed(a->status, err, a->userdata);
	else
		a->respond(err ? 0 : a->status, a->response.data ? a->response.data : "",
			   a->response.len, err, a->userdata);
	attempt_free(a);
}

static void fail(struct attempt *a, const char *why)
{
	struct error err;

	(void)error_set(&err, ERR_UNREACHABLE, "%s port %d: %s", a->host, a->port, why);
	finish(a, &err);
}

/* --- the conversation --------------------------------------------------------------------------
 */

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **at,
		      unsigned char *end)
{
	if (!value)
		return 0;
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
					   (const unsigned char *)value, (int)strlen(value), at,
					   end);
}

static int on_append_headers(struct attempt *a, struct lws *wsi, unsigned char **at, size_t room)
{
	unsigned char *end = *at + room;
	char length[24], program[80];

	(void)snprintf(program, sizeof(program), "%s/" VERSION, program_invocation_short_name);
	if (add_header(wsi, "user-agent:", program, at, end) ||
	    add_header(wsi, "authorization:", a->authorization, at, end))
		return -1;
	if (is_link(a))
		return 0;
	/* the time limit of a vhost holds for the connection, not for the answer */
	lws_set_timer_usecs(wsi, (lws_usec_t)a->client->timeout_s * LWS_USEC_PER_SEC);
	(void)snprintf(length, sizeof(length), "%zu", a->body.len);
	if (a->header && add_header(wsi, a->header, a->header_value, at, end))
		return -1;
	if (strcmp(a->method, "GET") == 0)
		return 0;
	if (add_header(wsi, "content-type:", a->content_type, at, end) ||
	    add_header(wsi, "content-length:", length, at, end))
		return -1;
	if (a->body.len > 0) {
		lws_client_http_body_pending(wsi, 1);
		(void)lws_callback_on_writable(wsi);
	}
	return 0;
}

static int on_body_writable(struct attempt *a, struct lws *wsi)
{
	AUTO(free_p) unsigned char *bytes = malloc(LWS_PRE + a->body.len);

	if (a->body.len == 0)
		return 0;
	if (!bytes)
		return -1;
	memcpy(bytes + LWS_PRE, a->body.data, a->body.len);
	lws_client_http_body_pending(wsi, 0);
	return lws_write(wsi, bytes + LWS_PRE, a->body.len, LWS_WRITE_HTTP_FINAL) < 0 ? -1 : 0;
}

static int on_response_bytes(struct attempt *a, const char *bytes, size_t len)
{
	if (a->response.len + len > HTTP_CLIENT_BODY_MAX_BYTES)
		return error_set(&a->err, ERR_TOO_LARGE, "the answer is larger than %d bytes",
				 HTTP_CLIENT_BODY_MAX_BYTES);
	return buf_append(&a->response, bytes, len, &a->err);
}

static int on_readable(struct lws *wsi)
{
	char bytes[LWS_PRE + 4096];
	char *at = bytes + LWS_PRE;
	int len = 4096;

	return lws_http_client_read(wsi, &at, &len) < 0 ? -1 : 0;
}

/* The last that is heard of a connection. One that was between its states when the loop stopped has
 * told nothing else. */
static void on_destroyed(struct attempt *a, struct lws *wsi)
{
	if (a->client->starting == a)
		return;
	lws_set_opaque_user_data(wsi, NULL);
	fail(a, "connection closed");
}

/* --- failures ----------------------------------------------------------------------------------
 * libwebsockets keeps to itself why a server is not trusted or not there; an administrator is to
 * see it in the log.
 */

/* OpenSSL has found something wrong with the server's certificate; what is remembered here is told
 * when the connection has failed for it. */
static void note_bad_certificate(struct lws *wsi, X509_STORE_CTX *verification)
{
	struct attempt *a = lws_get_opaque_user_data(wsi);
	int problem = X509_STORE_CTX_get_error(verification);

	if (!a || !a->client->is_strict)
		return;
	switch (problem) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		(void)error_set(&a->err, ERR_UNREACHABLE,
				"the certificate is for another name or address");
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		(void)error_set(&a->err, ERR_UNREACHABLE, "the certificate has expired");
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		(void)error_set(&a->err, ERR_UNREACHABLE,
				"the certificate is not valid yet (is a clock wrong?)");
		break;
	default:
		(void)error_set(&a->err, ERR_UNREACHABLE, "the certificate is not trusted: %s",
				X509_verify_cert_error_string(problem));
	}
}

static void try_next_address(struct attempt *a);

/* @said: what libwebsockets makes of it, or NULL. It has emptied OpenSSL's queue of errors. */
static void fail_connection(struct attempt *a, struct lws *wsi, const char *said)
{
	int number = 0;
	socklen_t len = sizeof(number);

	/* A name may have an address of each family, and the server listen on one of them. */
	if (a->err.code == ERR_NONE && a->status == 0 && a->next && !a->client->loop->is_stopping)
		try_next_address(a);
	else if (a->err.code != ERR_NONE)
		fail(a, a->err.message);
	else if (getsockopt(lws_get_socket_fd(wsi), SOL_SOCKET, SO_ERROR, &number, &len) == 0 &&
		 number != 0)
		fail(a, strerror(number));
	else if (said && strncmp(said, "connect SSL err", 15) == 0)
		fail(a, "the TLS handshake failed (is it a port that speaks TLS?)");
	else
		fail(a, said ? said : "connection failed");
}

/* Not by lws_tls_peer_cert_info(), which is a day off. */
static void note_certificate_end(struct http_client *client, struct lws *wsi)
{
	SSL *ssl = lws_get_ssl(wsi);
	X509 *certificate = ssl ? SSL_get1_peer_certificate(ssl) : NULL;
	struct tm end;

	if (certificate && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1)
		client->certificate_end_s = timegm(&end);
	X509_free(certificate);
}

static void note_server_time(struct http_client *client, struct lws *wsi)
{
	char text[64];
	struct tm time;
	const char *end;

	if (lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_DATE) <= 0)
		return;
	end = strptime(text, HTTP_DATE_FORMAT, &time);
	if (end && !*end)
		client->server_time_s = timegm(&time);
}

/* What both kinds of connections have: headers to add, and an end without an answer. */
static int attempt_callback(struct lws *wsi, enum lws_callback_reasons reason, void *in, size_t len)
{
	struct attempt *a = lws_get_opaque_user_data(wsi);

	if (!a)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return on_append_headers(a, wsi, in, len);
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		lws_set_opaque_user_data(wsi, NULL);
		if (is_link(a))
			a->status = (int)lws_http_client_http_response(wsi);
		fail_connection(a, wsi, in);
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		on_destroyed(a, wsi);
		return 0;
	default:
		return 0;
	}
}

static int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
			 size_t len)
{
	struct attempt *a;

	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
	case LWS_CALLBACK_WSI_DESTROY:
		return attempt_callback(wsi, reason, in, len);
	case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
		if (len == 0) /* what OpenSSL thinks of it; our answer does not change that */
			note_bad_certificate(wsi, session);
		return 0;
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
	case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE:
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
	case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
	case LWS_CALLBACK_TIMER:
		break;
	default:
		return lws_callback_http_dummy(wsi, reason, session, in, len);
	}
	a = lws_get_opaque_user_data(wsi);
	if (!a)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
		a->status = (int)lws_http_client_http_response(wsi);
		note_certificate_end(a->client, wsi);
		note_server_time(a->client, wsi);
		return 0;
	case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE:
		return on_body_writable(a, wsi);
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
		return on_readable(wsi);
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
		return on_response_bytes(a, in, len);
	case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
		lws_set_opaque_user_data(wsi, NULL);
		finish(a, NULL);
		return -1; /* one request a connection: it is closed */
	case LWS_CALLBACK_TIMER:
		return error_set(&a->err, ERR_TIMEOUT, "no answer within %u s",
				 a->client->timeout_s);
	default:
		lws_set_opaque_user_data(wsi, NULL);
		fail(a, a->err.code ? a->err.message : "connection closed without an answer");
		return 0;
	}
}

static int link_callback(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
			 size_t len)
{
	struct ws **ws = session;
	struct attempt *a;
	int result;

	if (reason == LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER ||
	    reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR || reason == LWS_CALLBACK_WSI_DESTROY)
		return attempt_callback(wsi, reason, in, len);
	if (reason != LWS_CALLBACK_CLIENT_ESTABLISHED)
		return ws_client_callback(wsi, reason, session, in, len);
	/* It stands: from here on the handler tells what happens to it. */
	a = lws_get_opaque_user_data(wsi);
	lws_set_opaque_user_data(wsi, NULL);
	if (a)
		note_certificate_end(a->client, wsi);
	result = ws_client_open(wsi, ws, a ? a->userdata : NULL);
	attempt_free(a);
	return result;
}

/* --- the beginning -----------------------------------------------------------------------------
 */

static void start_connection(struct attempt *a, const char *address)
{
	struct http_client *client = a->client;
	struct lws *wsi = NULL;
	bool has_begun;
	struct lws_client_connect_info info = {
		.context = client->loop->lws,
		.vhost = client->vhost,
		.address = address,
		.port = a->port,
		.path = a->path,
		.host = a->host,
		.method = a->method,
		.protocol = is_link(a) ? client->role.handler->protocol : NULL,
		.local_protocol_name = is_link(a) ? client->role.handler->protocol : "http",
		.alpn = "http/1.1",
		.ssl_connection = client->is_plain ? 0 : LCCSCF_USE_SSL,
		.opaque_user_data = a,
		.pwsi = &wsi,
		.retry_and_idle_policy = &ws_client_idle_policy,
		.ietf_version_or_minus_one = -1,
	};

	if (!client->is_plain && !client->is_strict)
		info.ssl_connection |= LCCSCF_ALLOW_SELFSIGNED | LCCSCF_ALLOW_INSECURE |
				       LCCSCF_ALLOW_EXPIRED |
				       LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
	/* A connection that fails within this call has told so by its callback already, unless it
	 * did not come to have one; then pwsi was never set. */
	client->starting = a;
	has_begun = lws_client_connect_via_info(&info) || wsi;
	client->starting = NULL;
	if (!has_begun)
		fail(a, "cannot begin a connection");
}

static void try_next_address(struct attempt *a)
{
	const struct addrinfo *to = a->next;
	char address[64];

	a->next = to->ai_next;
	if (getnameinfo(to->ai_addr, to->ai_addrlen, address, sizeof(address), NULL, 0,
			NI_NUMERICHOST) != 0)
		fail(a, "address cannot be understood");
	else
		start_connection(a, address);
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
	struct attempt *a = lookup->data;

	a->found = found;
	a->next = found;
	if (a->client->loop->is_stopping)
		attempt_free(a);
	else if (status < 0)
		fail(a, uv_strerror(status));
	else
		try_next_address(a);
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static struct attempt *attempt_new(struct http_client *client,
				   const struct http_client_request *request, struct error *err)
{
	AUTO(attempt_free_p) struct attempt *a = calloc(1, sizeof(*a));

	if (!a) {
		(void)error_oom(err);
		return NULL;
	}
	a->client = client;
	a->port = request->port;
	a->host = strdup(request->host);
	a->path = strdup(request->path);
	a->authorization = copy(request->authorization);
	a->content_type = copy(request->content_type);
	a->header = copy(request->header);
	a->header_value = copy(request->header_value);
	if (!a->host || !a->path || (request->authorization && !a->authorization) ||
	    (request->content_type && !a->content_type) || (request->header && !a->header) ||
	    (request->header_value && !a->header_value)) {
		(void)error_oom(err);
		return NULL;
	}
	if (request->body && buf_append_text(&a->body, request->body, err) < 0)
		return NULL;
	return TAKE(a);
}

/* Takes @a in every case. */
static int attempt_begin(struct attempt *a, struct error *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	int failed;

	a->lookup.data = a;
	failed = uv_getaddrinfo(&a->client->loop->uv, &a->lookup, on_looked_up, a->host, NULL,
				&hints);
	if (failed) {
		(void)error_set(err, ERR_SYSTEM, "look up %s: %s", a->host, uv_strerror(failed));
		attempt_free(a);
		return -1;
	}
	return 0;
}

int http_client_call(struct http_client *client, const char *method,
		     const struct http_client_request *request, http_response_fn fn, void *userdata,
		     struct error *err)
{
	struct attempt *a = attempt_new(client, request, err);

	if (!a)
		return -1;
	a->method = method;
	a->respond = fn;
	a->userdata = userdata;
	return attempt_begin(a, err);
}

int http_client_get(struct http_client *client, const struct http_client_request *request,
		    http_response_fn fn, void *userdata, struct error *err)
{
	return http_client_call(client, "GET", request, fn, userdata, err);
}

int http_client_post(struct http_client *client, const struct http_client_request *request,
		     http_response_fn fn, void *userdata, struct error *err)
{
	return http_client_call(client, "POST", request, fn, userdata, err);
}

int http_client_connect(struct http_client *client, const struct http_client_request *request,
			http_connect_failed_fn failed, void *userdata, struct error *err)
{
	struct attempt *a = attempt_new(client, request, err);

	if (!a)
		return -1;
	a->failed = failed;
	a->userdata = userdata;
	return attempt_begin(a, err);
}

/* libwebsockets goes on without it, and then trusts nobody. */
static int check_authority(const char *path, struct error *err)
{
	X509_STORE *store = X509_STORE_new();
	int loaded = store ? X509_STORE_load_file(store, path) : 0;

	X509_STORE_free(store);
	ERR_clear_error();
	return loaded == 1 ? 0
			   : error_set(err, ERR_CONFIG, "cannot use the authority file %s", path);
}

/* libwebsockets gives what it has read from a path to every vhost that names it: to have a file read
 * again it must have another name. "/etc/ca.pem" is "/./etc/ca.pem", too. */
static char *another_name(const struct http_client *client, struct error *err)
{
	AUTO(buf_done) struct buf name = {0};
	const char *step = *client->ca_file == '/' ? "/." : "./";

	for (unsigned i = 0; i < client->n_vhosts; i++) {
		if (buf_append_text(&name, step, err) < 0)
			return NULL;
	}
	return buf_append_text(&name, client->ca_file, err) < 0 ? NULL : buf_steal(&name);
}

/* What a client trusts is its vhost's. One that is followed by another one stays with libwebsockets
 * until the end, for connections that it has; authorities are not replaced often. */
static int make_vhost(struct http_client *client, struct error *err)
{
	bool has_authority = client->is_strict && client->ca_file;
	AUTO(free_p) char *ca_file = has_authority ? another_name(client, err) : NULL;
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.vhost_name = "client",
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.client_ssl_ca_filepath = ca_file,
		.timeout_secs = client->timeout_s,
		.connect_timeout_secs = client->timeout_s,
		.alpn = "http/1.1",
		.protocols = client->protocols,
		.user = client,
	};
	struct stat status = {0};
	struct lws_vhost *vhost;

	if (has_authority && (!ca_file || check_authority(client->ca_file, err) < 0))
		return -1;
	if (has_authority && stat(ca_file, &status) < 0)
		return error_errno(err, "%s", ca_file);
	/* The administrator named the authority: no other one may vouch for the server. */
	if (client->ca_file)
		info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
	vhost = lws_create_vhost(client->loop->lws, &info);
	if (!vhost)
		return error_set(err, ERR_CONFIG, "cannot use the authority file %s",
				 client->ca_file ? client->ca_file : "of the system");
	client->vhost = vhost;
	client->ca_status = status;
	client->n_vhosts++;
	return 0;
}

int http_client_refresh(struct http_client *client, struct error *err)
{
	const struct stat *before = &client->ca_status;
	struct stat now;

	if (!client->is_strict || !client->ca_file)
		return 0;
	if (stat(client->ca_file, &now) < 0)
		return error_errno(err, "%s", client->ca_file);
	if (now.st_ino == before->st_ino && now.st_size == before->st_size &&
	    now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == before->st_mtim.tv_nsec)
		return 0;
	return make_vhost(client, err);
}

struct http_client *http_client_new(struct loop *loop, const struct http_client_options *options,
				    struct error *err)
{
	struct http_client *client = calloc(1, sizeof(*client));

	if (!client || (options->ca_file && !(client->ca_file = strdup(options->ca_file)))) {
		http_client_free(client);
		(void)error_oom(err);
		return NULL;
	}
	client->loop = loop;
	client->is_strict = options->is_strict;
	client->is_plain = options->is_plain;
	client->timeout_s = options->timeout_s ? options->timeout_s : HTTP_CLIENT_TIMEOUT_S;
	client->role.handler = options->ws;
	client->protocols[0] = (struct lws_protocols){.name = "http", .callback = http_callback};
	if (options->ws)
		client->protocols[1] = (struct lws_protocols){
			.name = options->ws->protocol,
			.callback = link_callback,
			.per_session_data_size = WS_CLIENT_SESSION_BYTES,
			.rx_buffer_size = 4096,
		};
	if (make_vhost(client, err) == 0)
		return client;
	http_client_free(client);
	return NULL;
}

long long http_client_certificate_end(const struct http_client *client)
{
	return client->certificate_end_s;
}

long long http_client_server_time(const struct http_client *client)
{
	return client->server_time_s;
}

void http_client_free(struct http_client *client)
{
	if (!client)
		return;
	free(client->ca_file);
	free(client);
}
