#include "common/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/requests.h"
#include "common/text.h"

struct element {
	struct answer answer; /* first */
	struct call *call;
	json_t *body;     /* borrowed from call::body */
	struct buf text;  /* the SuccessfulList entry, or the reply */
	struct error err; /* code ERR_NONE: it succeeded */
};

struct call {
	const struct api *api;
	const struct operation *op;
	struct http_request *request;
	void *caller;
	json_t *body;
	size_t n_elements, n_open;
	char request_id[UUID_SIZE];
	struct element elements[];
};

static void call_free(struct call *call)
{
	for (size_t i = 0; i < call->n_elements; i++)
		buf_done(&call->elements[i].text);
	if (call->api->release)
		call->api->release(call->caller);
	json_decref(call->body);
	free(call);
}

void answer_succeed(struct answer *answer, struct buf *text)
{
	answer->give(answer, text, NULL);
}

void answer_succeed_json(struct answer *answer, json_t *object)
{
	struct buf text = {0};
	struct error err;

	if (!object || json_append(&text, object, &err) < 0) {
		(void)error_oom(&err);
		answer_fail(answer, &err);
	} else {
		answer_succeed(answer, &text);
	}
	buf_done(&text);
	json_decref(object);
}

void answer_fail(struct answer *answer, const struct error *err)
{
	answer->give(answer, NULL, err);
}

const char *answer_request_id(const struct answer *answer)
{
	const struct element *e = (const struct element *)(const void *)answer;

	return e->call->request_id;
}

/* --- the reply ---------------------------------------------------------------------------------
 */

/* The object that the handler gave, with the RequestId as its last member: in front of the others,
 * a page of a megabyte would have to be copied for it. */
static int make_object_reply(struct call *call, struct buf *reply, struct error *err)
{
	*reply = call->elements[0].text;
	call->elements[0].text = (struct buf){0};
	if (call->op->body == BODY_PATH) /* its schema has none */
		return 0;
	buf_truncate(reply, reply->len - 1);
	return buf_printf(reply, err, "%s\"RequestId\":\"%s\"}", reply->len > 1 ? "," : "",
			  call->request_id);
}

static int append_echo(const struct call *call, const struct element *e, struct buf *reply,
		       struct error *err)
{
	const struct operation *op = call->op;
	json_auto_t *echo = params_echo(op->params, e->body);

	if (!echo)
		return error_oom(err);
	if (buf_printf(reply, err, "{\"%s\":", op->echo) < 0)
		return -1;
	if (strcmp(op->echo, "SessionId") == 0)
		return json_append(reply, json_object_get(echo, "SessionId"), err);
	return json_append(reply, echo, err);
}

static int append_failure(const struct call *call, const struct element *e, struct buf *reply,
			  struct error *err)
{
	const char *code = operation_failure_code(call->op, e->err.code);

	if (append_echo(call, e, reply, err) < 0)
		return -1;
	if (code && buf_printf(reply, err, ",\"FailureCode\":\"%s\"", code) < 0)
		return -1;
	if (buf_append_text(reply, ",\"FailureReason\":", err) < 0 ||
	    json_append_string(reply, e->err.message, err) < 0)
		return -1;
	return buf_append_text(reply, "}", err);
}

static int append_list(const struct call *call, bool of_failures, struct buf *reply,
		       struct error *err)
{
	bool is_first = true;

	for (size_t i = 0; i < call->n_elements; i++) {
		const struct element *e = &call->elements[i];

		if ((e->err.code != ERR_NONE) != of_failures)
			continue;
		if (!is_first && buf_append_text(reply, ",", err) < 0)
			return -1;
		is_first = false;
		if (of_failures ? append_failure(call, e, reply, err) < 0
				: buf_append(reply, e->text.data, e->text.len, err) < 0)
			return -1;
	}
	return 0;
}

static int append_list_reply(const struct call *call, struct buf *reply, struct error *err)
{
	size_t len = sizeof("{'RequestId':'','SuccessfulList':[],'UnsuccessfulList':[]}") +
		     UUID_SIZE;

	/* Room for all of it at once: the texts may be images. */
	for (size_t i = 0; i < call->n_elements; i++)
		len += call->elements[i].text.len + 1;
	if (buf_reserve(reply, len, err) < 0 ||
	    buf_append_text(reply, "{\"RequestId\":\"", err) < 0 ||
	    buf_append_text(reply, call->request_id, err) < 0 ||
	    buf_append_text(reply, "\",\"SuccessfulList\":[", err) < 0 ||
	    append_list(call, false, reply, err) < 0 ||
	    buf_append_text(reply, "],\"UnsuccessfulList\":[", err) < 0 ||
	    append_list(call, true, reply, err) < 0)
		return -1;
	return buf_append_text(reply, "]}", err);
}

/* Nothing could be changed, and nothing in the request was the cause: that is no list of failures. */
static bool has_failed_as_a_whole(const struct call *call)
{
	for (size_t i = 0; i < call->n_elements; i++) {
		if (call->elements[i].err.code != ERR_STORE)
			return false;
	}
	return call->n_elements > 0;
}

static void call_finish(struct call *call)
{
	AUTO(buf_done) struct buf reply = {0};
	bool is_whole = call->op->body != BODY_ELEMENTS || has_failed_as_a_whole(call);
	struct error err = call->n_elements > 0 && is_whole ? call->elements[0].err
							    : (struct error){0};

	if (call->op->body == BODY_ELEMENTS && err.code == ERR_NONE) {
		(void)append_list_reply(call, &reply, &err);
	} else if (err.code == ERR_NONE) {
		(void)make_object_reply(call, &reply, &err);
	}
	log_debug("%s done (request=%s, elements=%zu)", call->op->name, call->request_id,
		  call->n_elements);
	if (err.code != ERR_NONE)
		http_reply_error(call->request, &err, NULL);
	else
		http_reply(call->request, 200, "application/json", &reply, NULL);
	call_free(call);
}

static void give(struct answer *answer, struct buf *text, const struct error *err)
{
	struct element *e = (struct element *)(void *)answer;
	struct call *call = e->call;

	if (err) {
		e->err = *err;
	} else {
		e->text = *text;
		*text = (struct buf){0};
	}
	if (--call->n_open == 0)
		call_finish(call);
}

/* --- the request -------------------------------------------------------------------------------
 */

static int read_path(const struct operation *op, const char *path, json_t **ret, struct error *err)
{
	const char *id = path + strlen(op->path);
	const char *slash = strchr(id, '/');

	if (!slash || slash == id || slash[1] == '\0')
		return error_set(err, ERR_INVALID, "the path must be %s{sessionId}/{user}",
				 op->path);
	*ret = json_pack("{s:s%,s:s}", "SessionId", id, (size_t)(slash - id), "User", slash + 1);
	if (!*ret)
		return error_set(err, ERR_INVALID, "the path is not UTF-8");
	return 0;
}

static int read_body(const struct operation *op, const struct http_request *request, json_t **ret,
		     struct error *err)
{
	json_auto_t *body = NULL;

	if (op->body == BODY_PATH)
		return read_path(op, request->path, ret, err);
	if (request->body.len > 0 &&
	    json_parse(request->body.data, request->body.len, &body, err) < 0)
		return -1;
	if (op->body == BODY_OBJECT && (!body || json_is_null(body))) {
		json_decref(body);
		body = json_object();
	}
	if (!body)
		return error_set(err, ERR_INVALID, "the body must be a JSON array");
	if (op->body == BODY_OBJECT ? !json_is_object(body) : !json_is_array(body))
		return error_set(err, ERR_INVALID, "the body must be a JSON %s",
				 op->body == BODY_OBJECT ? "object" : "array");
	if (json_array_size(body) > ELEMENTS_MAX)
		return error_set(err, ERR_INVALID, "at most %d entries allowed", ELEMENTS_MAX);
	*ret = TAKE(body);
	return 0;
}

static int check_elements(const struct call *call, struct error *err)
{
	AUTO(free_p) void *scratch = malloc(call->op->params->size);

	if (!scratch)
		return error_oom(err);
	for (size_t i = 0; i < call->n_elements; i++) {
		if (params_read(call->op->params, call->elements[i].body, scratch, err) == 0)
			continue;
		if (call->n_elements > 1)
			return error_prefix(err, "entry %zu", i + 1);
		return -1;
	}
	return 0;
}

/* Takes @body in every case. */
static struct call *call_new(const struct api *api, const struct operation *op, json_t *body,
			     struct error *err)
{
	size_t n = op->body == BODY_ELEMENTS ? json_array_size(body) : 1;
	struct call *call = calloc(1, sizeof(*call) + n * sizeof(call->elements[0]));

	if (!call) {
		json_decref(body);
		(void)error_oom(err);
		return NULL;
	}
	call->api = api;
	call->op = op;
	call->body = body;
	call->n_elements = n;
	call->n_open = n;
	uuid_make(call->request_id);
	for (size_t i = 0; i < n; i++) {
		struct element *e = &call->elements[i];

		e->answer.give = give;
		e->call = call;
		e->body = op->body == BODY_ELEMENTS ? json_array_get(body, i) : body;
	}
	return call;
}

static void call_begin(struct call *call)
{
	const struct api *api = call->api;
	size_t n = call->n_elements;

	/* The last answer frees the call: neither it nor n_elements may be looked at after that. */
	call->n_open++;
	for (size_t i = 0; i < n; i++) {
		struct element *e = &call->elements[i];

		api->carry_out(call->op, call->caller, e->body, &e->answer, api->userdata);
	}
	if (--call->n_open == 0)
		call_finish(call);
}

void call_serve(const struct api *api, const struct operation *op, struct http_request *request)
{
	const struct http_header *headers = NULL;
	struct error err = {0};
	json_t *body = NULL;
	struct call *call = NULL;
	void *caller = api->admit(request, op, &headers, api->userdata, &err);

	if (caller && read_body(op, request, &body, &err) == 0)
		call = call_new(api, op, body, &err);
	if (!call) {
		http_reply_error(request, &err, caller ? NULL : headers);
		if (caller && api->release)
			api->release(caller);
		return;
	}
	call->caller = caller;
	call->request = request;
	if (check_elements(call, &err) < 0) {
		http_reply_error(request, &err, NULL);
		call_free(call);
		return;
	}
	call_begin(call);
}

void call_route(const struct api *api, struct http_request *request)
{
	const char *allow = NULL;
	struct error err = {0};
	const struct operation *op = operation_find(request->method, request->path, &allow, &err);
	const struct http_header headers[] = {{"Allow", allow}, {NULL, NULL}};

	if (op)
		call_serve(api, op, request);
	else
		http_reply_error(request, &err, allow ? headers : NULL);
}
