/* A test double: the smallest program over common/http-server and common/ws, which says what it was
 * sent. It shows the wire behaviour of every program that listens through them.
 *
 *     http-echo [--unix PATH] [--port N --certificate FILE --key FILE] [--ready-fd N]
 *
 * Any request is answered with a JSON object of what arrived, but
 *     /big?size=N    is answered with N bytes
 *     /hold          is answered when somebody asks for
 *     /release
 * On a WebSocket (subprotocol "echo") a message comes back as it is, but
 *     flood N        is answered with N messages of 1 MiB
 *     close          closes
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/http-form.h"
#include "common/http-server.h"
#include "common/json.h"
#include "common/key-store.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/number.h"

#define BODY_MAX_BYTES 100000
#define MESSAGE_MAX_BYTES (2 << 20)
#define QUEUE_MAX_BYTES (8 << 20)
#define N_HELD_MAX 64

struct echo {
	struct loop loop;
	struct tls_server *tls;
	struct http_request *held[N_HELD_MAX];
	size_t n_held;
	bool is_replying; /* to one that was held */
};

static void reply_json(struct http_request *request, json_t *object)
{
	struct buf body = {0};
	struct error err;

	if (json_append(&body, object, &err) < 0)
		buf_done(&body);
	json_decref(object);
	http_reply(request, 200, "application/json", &body, NULL);
}

static void reply_big(struct http_request *request)
{
	AUTO(free_p) char *size = http_form_value(request->query, "size");
	struct buf body = {0};
	struct error err;
	long long n;

	if (!size || !number_parse(size, 0, 1 << 30, &n)) {
		(void)error_set(&err, ERR_INVALID, "size is not a number");
		http_reply_error(request, &err, NULL);
		return;
	}
	if (buf_reserve(&body, (size_t)n, &err) < 0)
		n = 0;
	for (long long i = 0; i < n; i++)
		body.data[i] = (char)('a' + i % 23);
	body.len = (size_t)n;
	http_reply(request, 200, "text/plain", &body, NULL);
}

static json_t *describe(const struct http_request *r)
{
	json_t *groups = json_array();

	for (size_t i = 0; i < r->n_peer_groups; i++)
		(void)json_array_append_new(groups, json_integer(r->peer_groups[i]));
	return json_pack("{s:s,s:s?,s:s?,s:s?,s:b,s:s?,s:i,s:s?,s:i,s:o,s:s}", "method", r->method,
			 "path", r->path, "query", r->query, "authorization", r->authorization,
			 "hasAuthorization", r->has_authorization, "contentType", r->content_type,
			 "bodyLength", (int)r->body.len, "body", r->body.data ? r->body.data : "",
			 "uid", (int)r->peer_uid, "groups", groups, "address", r->peer_address);
}

static void release_held(struct echo *echo)
{
	echo->is_replying = true;
	for (size_t i = 0; i < echo->n_held; i++)
		reply_json(echo->held[i], json_pack("{s:s}", "path", "/hold"));
	echo->n_held = 0;
	echo->is_replying = false;
}

static void on_request(struct http_request *request, void *userdata)
{
	struct echo *echo = userdata;

	if (echo->is_replying)
		log_info("a request while another one is being answered: %s", request->path);
	if (strcmp(request->path, "/big") == 0) {
		reply_big(request);
	} else if (strcmp(request->path, "/hold") == 0 && echo->n_held < N_HELD_MAX) {
		echo->held[echo->n_held++] = request;
	} else {
		if (strcmp(request->path, "/release") == 0)
			release_held(echo);
		reply_json(request, describe(request));
	}
}

static int authorize(const char *authorization, void *userdata)
{
	(void)userdata;
	return strcmp(authorization, "Bearer bad") == 0 ? 401 : 0;
}

static void flood(struct ws *ws, long long n)
{
	struct buf message = {0};
	struct error err;

	if (buf_reserve(&message, 1 << 20, &err) == 0) {
		memset(message.data, 'x', 1 << 20);
		while (n-- > 0 && ws_send(ws, message.data, 1 << 20, &err) == 0)
			;
	}
	buf_done(&message);
}

static void on_message(struct ws *ws, const char *text, size_t len, void *userdata)
{
	struct error err;
	long long n;

	(void)userdata;
	if (strncmp(text, "flood ", 6) == 0 && number_parse(text + 6, 0, 1000, &n))
		flood(ws, n);
	else if (strcmp(text, "close") == 0)
		ws_close(ws, LWS_CLOSE_STATUS_NORMAL, "as you wish");
	else
		(void)ws_send(ws, text, len, &err);
}

static void on_close(struct ws *ws, const char *why, void *userdata)
{
	(void)userdata;
	log_info("peer gone (address=%s, why=%s)", ws_peer_address(ws), why);
}

static const struct ws_handler handler = {
	.protocol = "echo",
	.message_max_bytes = MESSAGE_MAX_BYTES,
	.queue_max_bytes = QUEUE_MAX_BYTES,
	.authorize = authorize,
	.message = on_message,
	.close = on_close,
};

struct arguments {
	const char *unix_path, *certificate, *key;
	long long port, ready_fd;
};

static int read_arguments(int argc, char **argv, struct arguments *ret, struct error *err)
{
	static const struct option options[] = {
		{"unix", required_argument, NULL, 'u'},
		{"port", required_argument, NULL, 'p'},
		{"certificate", required_argument, NULL, 'c'},
		{"key", required_argument, NULL, 'k'},
		{"ready-fd", required_argument, NULL, 'r'},
		{0},
	};
	int option;
	bool ok = true;

	*ret = (struct arguments){.ready_fd = -1};
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'u')
			ret->unix_path = optarg;
		else if (option == 'p')
			ok = ok && number_parse(optarg, 1, 65535, &ret->port);
		else if (option == 'c')
			ret->certificate = optarg;
		else if (option == 'k')
			ret->key = optarg;
		else if (option == 'r')
			ok = ok && number_parse(optarg, 0, 1023, &ret->ready_fd);
		else
			ok = false;
	}
	if (!ok || optind != argc || (!ret->unix_path && !ret->port))
		return error_set(err, ERR_USAGE, "see the head of tests/doubles/http-echo.c");
	return 0;
}

static int show_certificate(struct echo *echo, const struct arguments *arguments, struct error *err)
{
	struct tls_identity identity = {0};
	char files[512];
	int result;

	(void)snprintf(files, sizeof(files), "%s,%s", arguments->certificate, arguments->key);
	echo->tls = tls_server_new(err);
	if (!echo->tls || key_store_load(files, NULL, &identity, err) < 0)
		return -1;
	result = tls_server_set(echo->tls, &identity, NULL, err);
	tls_identity_done(&identity);
	return result;
}

static int listen_as_told(struct echo *echo, const struct arguments *arguments,
			  struct http_server *ret[2], struct error *err)
{
	struct http_server_options options = {
		.body_max_bytes = BODY_MAX_BYTES,
		.request = on_request,
		.ws = &handler,
		.userdata = echo,
	};

	if (arguments->port) {
		if (show_certificate(echo, arguments, err) < 0)
			return -1;
		options.bind_host = "127.0.0.1";
		options.port = (int)arguments->port;
		options.tls = echo->tls;
		ret[0] = http_server_new(&echo->loop, &options, err);
		if (!ret[0])
			return -1;
	}
	if (arguments->unix_path) {
		options.bind_host = NULL;
		options.unix_path = arguments->unix_path;
		ret[1] = http_server_new(&echo->loop, &options, err);
		if (!ret[1])
			return -1;
	}
	return 0;
}

static int run(const struct arguments *arguments, struct error *err)
{
	struct echo echo = {0};
	struct http_server *servers[2] = {NULL, NULL};
	int result = loop_init(&echo.loop, err);

	if (result == 0)
		result = listen_as_told(&echo, arguments, servers, err);
	if (result == 0) {
		if (arguments->ready_fd >= 0)
			(void)dprintf((int)arguments->ready_fd, "ready\n");
		loop_run(&echo.loop);
	}
	loop_done(&echo.loop);
	release_held(&echo); /* their peers are gone; this gives them back */
	http_server_free(servers[0]);
	http_server_free(servers[1]);
	tls_server_free(echo.tls);
	return result;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	struct error err = {0};

	log_set_level(LOG_LEVEL_DEBUG);
	if (read_arguments(argc, argv, &arguments, &err) == 0 && run(&arguments, &err) == 0)
		return 0;
	log_error("%s", err.message);
	return error_exit_status(err.code);
}
