#include "agent/viewer/door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/viewer/transfer.h"
#include "common/cleanup.h"
#include "common/http-form.h"
#include "common/http-server.h"
#include "common/log.h"
#include "common/text.h"

#define FILES "files/"
#define PAGE "viewer.html"
#define REFUSED "refused.html"
#define BODY_MAX_BYTES 1024

/* No other site can show the page, learn its address, or lend it scripts. noVNC draws pointers from data:
 * and pictures from blob: addresses, and sets styles of its own by script, which needs no permission. */
#define POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "    \
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const struct http_header always[] = {
	{"Content-Security-Policy", POLICY},
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Cache-Control", "no-store"},
	{NULL, NULL},
};

struct door {
	struct door_options options;
	struct ws_handler ws;
	char *ws_path;
	struct http_server *server;
};

/* A request that waits for the agent. */
struct caller {
	struct door *door;
	struct http_request *request;
};

static void serve(struct door *door, struct http_request *request, int status, const char *name)
{
	const struct site_file *file = site_find(door->options.site, name);
	struct buf body = {0};
	struct error err = {0};

	if (!file) {
		(void)error_set(&err, ERR_NOT_FOUND, "there is nothing here");
		http_reply_error(request, &err, always);
		return;
	}
	if (buf_append(&body, file->bytes.data, file->bytes.len, &err) < 0) {
		http_reply_error(request, &err, always);
		return;
	}
	http_reply(request, status, file->type, &body, always);
}

static void on_judged(int status, void *userdata)
{
	struct caller *caller = userdata;

	serve(caller->door, caller->request, status, status == 200 ? PAGE : REFUSED);
	free(caller);
}

static void check_token(struct door *door, struct http_request *request, const char *token)
{
	static const struct vouch_events events = {.judged = on_judged};
	struct caller *caller = malloc(sizeof(*caller));
	struct vouch_question question = {.token = token,
					  .address = request->peer_address,
					  .events = &events,
					  .userdata = caller};
	struct error err;

	if (caller) {
		*caller = (struct caller){door, request};
		if (vouch_ask(door->options.host->vouch, &question, &err))
			return;
	} else {
		(void)error_oom(&err);
	}
	if (refusals_may_tell(door->options.host->refusals, request->peer_address, err.message))
		log_warning("a token is not looked at: %s (address=%s)", err.message,
			    request->peer_address);
	serve(door, request, err.code == ERR_UNAUTHORIZED ? 401 : 503, REFUSED);
	free(caller);
}

/* The path below ours, without a slash at its beginning; NULL: it is not below. */
static const char *path_below(const struct door *door, const char *path)
{
	const char *ours = door->options.path;
	size_t len = strlen(ours);

	if (strncmp(path, ours, len) == 0)
		return path + len;
	return strlen(path) == len - 1 && strncmp(path, ours, len - 1) == 0 ? "" : NULL;
}

static const struct http_flow *choose_flow(const struct http_request *request, void *userdata)
{
	const char *name = path_below(userdata, request->path);

	return name && text_skip(&name, FILES) ? &transfer_flow : NULL;
}

static void on_request(struct http_request *request, void *userdata)
{
	struct door *door = userdata;
	const char *name = path_below(door, request->path);
	AUTO(free_p) char *token = NULL;
	struct error err;

	if (name && text_skip(&name, FILES)) {
		transfer_begin(&door->options.host->shares, request, name);
		return;
	}
	if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
		(void)error_set(&err, ERR_METHOD, "GET and HEAD alone are served here");
		http_reply_error(request, &err, always);
		return;
	}
	if (name && name[0]) {
		serve(door, request, 200, strcmp(name, "view") == 0 ? PAGE : name);
		return;
	}
	token = name ? http_form_value(request->query, "authToken") : NULL;
	if (token)
		check_token(door, request, token);
	else
		serve(door, request, name ? 401 : 404, REFUSED);
}

struct door *door_new(struct loop *loop, const struct door_options *options, struct error *err)
{
	struct door *door = calloc(1, sizeof(*door));
	struct http_server_options listening = {
		.bind_host = options->bind_host,
		.port = options->port,
		.tls = options->tls,
		.body_max_bytes = BODY_MAX_BYTES,
		.flow = choose_flow,
		.request = on_request,
		.userdata = door,
		.ws_userdata = options->host,
	};

	if (!door || asprintf(&door->ws_path, "%sws", options->path) < 0) {
		free(door);
		(void)error_oom(err);
		return NULL;
	}
	door->options = *options;
	door->ws = client_handler(door->ws_path);
	listening.ws = &door->ws;
	door->server = http_server_new(loop, &listening, err);
	if (door->server)
		return door;
	door_free(door);
	return NULL;
}

void door_free(struct door *door)
{
	if (!door)
		return;
	http_server_free(door->server);
	free(door->ws_path);
	free(door);
}
