#include "agent/control.h"

#include <stdlib.h>

#include "agent/caller.h"
#include "agent/operation.h"
#include "common/call.h"
#include "common/cleanup.h"
#include "common/request-log.h"

#define BODY_MAX_BYTES (4UL * 1024 * 1024)

struct control {
	struct agent *agent;
	struct api api;
	struct http_server *server;
	struct lookup *looked_up; /* whose request is being routed again */
	struct log_limit strangers;
};

/* --- who calls -----------------------------------------------------------------------------------
 */

/* Name services may take as long as a directory does, so they are asked on another thread. */
struct lookup {
	struct control *control;
	struct http_request *request; /* which stays as it is until it is answered */
	struct caller *caller;
	struct error err; /* where there is no caller */
};

static void look_up(void *userdata)
{
	struct lookup *lookup = userdata;

	lookup->caller = caller_from_peer(
		lookup->request, lookup->control->agent->config->admin_group, &lookup->err);
}

/* Also again, once it is known who asks. */
static void serve(struct control *control, struct http_request *request)
{
	if (operation_is(&operation_get_session_log, request->method, request->path))
		call_serve(&control->api, &operation_get_session_log, request);
	else
		call_route(&control->api, request);
}

static void on_looked_up(void *userdata)
{
	AUTO(free_p) struct lookup *lookup = userdata;
	struct control *control = lookup->control;

	if (control->agent->loop->is_stopping) {
		caller_free(lookup->caller);
		(void)error_set(&lookup->err, ERR_UNAVAILABLE, "the agent stops");
		http_reply_error(lookup->request, &lookup->err, NULL);
		return;
	}
	control->looked_up = lookup;
	serve(control, lookup->request);
	control->looked_up = NULL;
	caller_free(lookup->caller); /* NULL once it was taken */
}

/* NULL with ERR_NONE: on_looked_up() comes back with it. */
static struct caller *find_caller(struct control *control, struct http_request *request,
				  struct error *err)
{
	struct lookup *lookup = control->looked_up;

	if (lookup) {
		*err = lookup->err;
		return TAKE(lookup->caller);
	}
	if (request->peer_uid == 0) /* which asks nobody */
		return caller_from_peer(request, control->agent->config->admin_group, err);
	lookup = calloc(1, sizeof(*lookup));
	if (!lookup) {
		(void)error_oom(err);
		return NULL;
	}
	*lookup = (struct lookup){.control = control, .request = request};
	err->code = ERR_NONE;
	if (loop_work(control->agent->loop, look_up, on_looked_up, lookup, err) < 0)
		free(lookup);
	return NULL;
}

static void *admit(struct http_request *request, const struct operation *op,
		   const struct http_header **ret_headers, void *userdata, struct error *err)
{
	struct caller *caller = find_caller(userdata, request, err);

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

/* --- requests ------------------------------------------------------------------------------------
 */

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
	struct control *control = userdata;
	const struct caller *caller = request->note.caller;

	(void)body;
	request_log(request, status, caller ? caller->name : NULL, &control->strangers);
}

static void on_answered(const struct http_request *request, const void *fields,
			const struct buf *text, const struct error *err, void *userdata)
{
	struct control *control = userdata;

	(void)fields;
	(void)text;
	metrics_count_operation(&control->agent->metrics, request->note.operation, err != NULL,
				(double)(uv_hrtime() - request->began_ns) / 1e9);
}

static void on_request(struct http_request *request, void *userdata)
{
	serve(userdata, request);
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
	control->api = (struct api){.carry_out = carry_out,
				    .admit = admit,
				    .release = release,
				    .answered = on_answered,
				    .userdata = control};
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
