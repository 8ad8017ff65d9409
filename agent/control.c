#include "agent/control.h"

#include <stdlib.h>

#include "agent/caller.h"
#include "agent/operation.h"
#include "common/call.h"
#include "common/request-log.h"

#define BODY_MAX_BYTES (4UL * 1024 * 1024)

struct control {
	struct agent *agent;
	struct api api;
	struct http_server *server;
};

static void *admit(struct http_request *request, const struct operation *op,
		   const struct http_header **ret_headers, void *userdata, struct error *err)
{
	struct control *control = userdata;
	struct caller *caller = caller_from_peer(request, control->agent->config->admin_group, err);

	(void)ret_headers;
	if (caller && caller_check(caller, op, err) < 0) {
		caller_free(caller);
		return NULL;
	}
	return caller;
}

static void release(void *caller)
{
	caller_free(caller);
}

static void carry_out(const struct operation *op, const void *caller, const void *fields,
		      struct answer *answer, void *userdata)
{
	struct control *control = userdata;
	struct error err;
	const struct request request = {
		.agent = control->agent,
		.op = op,
		.caller = caller,
		.body = answer_asked_json(answer, &err),
		.answer = answer,
	};

	(void)fields; /* read again where commands of a broker come in, too */
	if (request.body)
		operation_carry_out(&request);
	else
		answer_fail(answer, &err);
}

static void on_replied(const struct http_request *request, int status, const struct buf *body,
		       void *userdata)
{
	const struct caller *caller = request->note.caller;

	(void)body;
	(void)userdata;
	request_log(request, status, caller ? caller->name : NULL);
}

static void on_request(struct http_request *request, void *userdata)
{
	struct control *control = userdata;

	if (operation_is(&operation_get_session_log, request->method, request->path))
		call_serve(&control->api, &operation_get_session_log, request);
	else
		call_route(&control->api, request);
}

struct control *control_new(struct agent *agent, const char *path, struct error *err)
{
	struct control *control = calloc(1, sizeof(*control));
	struct http_server_options options = {
		.unix_path = path,
		.body_max_bytes = BODY_MAX_BYTES,
		.request = on_request,
		.replied = on_replied,
		.userdata = control,
	};

	if (!control) {
		(void)error_oom(err);
		return NULL;
	}
	control->agent = agent;
	control->api = (struct api){
		.carry_out = carry_out, .admit = admit, .release = release, .userdata = control};
	control->server = http_server_new(agent->loop, &options, err);
	if (!control->server) {
		free(control);
		return NULL;
	}
	return control;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	http_server_free(control->server);
	free(control);
}
