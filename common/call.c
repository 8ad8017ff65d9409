#include "common/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/requests.h"
#include "common/text.h"

struct element {
	struct answer answer; /* first */
	struct call *call;
	void *fields; /* the request struct of the operation, filled */
	/* What was asked: the one that is not there is made of the other one when it is wanted. */
	json_t *json;
	struct buf made; /* text that was made of json */
	const char *text;
	size_t text_len;
	struct buf reply; /* the SuccessfulList entry, or the whole reply */
	struct error err; /* code ERR_NONE: it succeeded */
};

/* In one block with the fields of its elements, and with the text that their strings may be in. */
struct call {
	const struct api *api;
	const struct operation *op;
	struct http_request *request;
	void *caller;
	size_t n_elements, n_open;
	size_t replies_bytes; /* of all answers so far */
	char request_id[UUID_SIZE];
	struct element elements[];
};

static void call_free(struct call *call)
{
	for (size_t i = 0; i < call->n_elements; i++) {
		struct element *e = &call->elements[i];

		json_decref(e->json);
		buf_done(&e->made);
		buf_done(&e->reply);
	}
	if (call->caller && call->api->release)
		call->api->release(call->caller);
	free(call);
}

static void call_free_p(struct call **call)
{
	if (*call)
		call_free(*call);
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

static struct element *element_of(struct answer *answer)
{
	return (struct element *)(void *)answer;
}

json_t *answer_asked_json(struct answer *answer, struct error *err)
{
	struct element *e = element_of(answer);

	if (!e->json && json_parse(e->text, e->text_len, &e->json, err) < 0)
		return NULL;
	return e->json;
}

const char *answer_asked_text(struct answer *answer, size_t *ret_len, struct error *err)
{
	struct element *e = element_of(answer);

	if (!e->text) {
		if (json_append(&e->made, e->json, err) < 0)
			return NULL;
		e->text = e->made.data;
		e->text_len = e->made.len;
	}
	*ret_len = e->text_len;
	return e->text;
}

/* --- the reply ---------------------------------------------------------------------------------
 */

/* The object that the handler gave, with the RequestId as its last member: in front of the others,
 * a page of a megabyte would have to be copied for it. */
static int make_object_reply(struct call *call, struct buf *reply, struct error *err)
{
	*reply = call->elements[0].reply;
	call->elements[0].reply = (struct buf){0};
	if (call->op->body == BODY_PATH) /* its schema has none */
		return 0;
	buf_truncate(reply, reply->len - 1);
	return buf_printf(reply, err, "%s\"RequestId\":\"%s\"}", reply->len > 1 ? "," : "",
			  call->request_id);
}

static int append_echo(const struct call *call, struct element *e, struct buf *reply,
		       struct error *err)
{
	const struct operation *op = call->op;
	json_t *asked = answer_asked_json(&e->answer, err);
	json_auto_t *echo = asked ? params_echo(op->params, asked) : NULL;

	if (!echo)
		return error_oom(err);
	if (buf_printf(reply, err, "{\"%s\":", op->echo) < 0)
		return -1;
	if (strcmp(op->echo, "SessionId") == 0)
		return json_append(reply, json_object_get(echo, "SessionId"), err);
	return json_append(reply, echo, err);
}

static int append_failure(const struct call *call, struct element *e, struct buf *reply,
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

/* Its memory is given back at once, so that the texts are not there twice: they may be images. */
static int append_success(struct element *e, struct buf *reply, struct error *err)
{
	if (buf_append(reply, e->reply.data, e->reply.len, err) < 0)
		return -1;
	buf_done(&e->reply);
	return 0;
}

static int append_list(struct call *call, bool of_failures, struct buf *reply, struct error *err)
{
	bool is_first = true;

	for (size_t i = 0; i < call->n_elements; i++) {
		struct element *e = &call->elements[i];

		if ((e->err.code != ERR_NONE) != of_failures)
			continue;
		if (!is_first && buf_append_text(reply, ",", err) < 0)
			return -1;
		is_first = false;
		if (of_failures ? append_failure(call, e, reply, err) < 0
				: append_success(e, reply, err) < 0)
			return -1;
	}
	return 0;
}

#define LIST_HEAD_FORMAT "{\"RequestId\":\"%s\",\"SuccessfulList\":["
#define LIST_HEAD_MAX_BYTES (sizeof(LIST_HEAD_FORMAT) + UUID_SIZE)
#define LIST_REST_BYTES sizeof("],'UnsuccessfulList':[]}")

/* The beginning of the reply, and room for all of it: the texts may be images. A single one is not even
 * copied; it is moved a little, which costs a fraction of touching as much new memory. */
static int begin_list_reply(struct call *call, struct buf *reply, struct error *err)
{
	char head[LIST_HEAD_MAX_BYTES];
	size_t head_len = (size_t)snprintf(head, sizeof(head), LIST_HEAD_FORMAT, call->request_id);
	size_t len = LIST_REST_BYTES;

	if (call->n_elements == 1) {
		*reply = call->elements[0].reply;
		call->elements[0].reply = (struct buf){0};
		if (buf_reserve(reply, head_len + len, err) < 0)
			return -1;
		return buf_prepend(reply, head, head_len, err);
	}
	for (size_t i = 0; i < call->n_elements; i++)
		len += call->elements[i].reply.len + 1;
	if (buf_reserve(reply, head_len + len, err) < 0)
		return -1;
	return buf_append(reply, head, head_len, err);
}

static int append_list_reply(struct call *call, struct buf *reply, struct error *err)
{
	if (begin_list_reply(call, reply, err) < 0 || append_list(call, false, reply, err) < 0 ||
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

static void take_note(struct call *call)
{
	struct http_note *note = &call->request->note;

	note->n_elements = call->n_elements;
	for (size_t i = 0; i < call->n_elements; i++)
		note->n_failed += call->elements[i].err.code != ERR_NONE;
	if (call->n_elements == 1)
		request_subject(call->op, call->elements[0].fields, &note->session_id,
				&note->server_id);
}

static void call_finish(struct call *call)
{
	AUTO(buf_done) struct buf reply = {0};
	bool is_whole = call->op->body != BODY_ELEMENTS || has_failed_as_a_whole(call);
	struct error err = call->n_elements > 0 && is_whole ? call->elements[0].err
							    : (struct error){0};

	take_note(call);
	if (call->op->body == BODY_ELEMENTS && err.code == ERR_NONE) {
		(void)append_list_reply(call, &reply, &err);
	} else if (err.code == ERR_NONE) {
		(void)make_object_reply(call, &reply, &err);
	}
	if (err.code != ERR_NONE)
		http_reply_error(call->request, &err, NULL);
	else
		http_reply(call->request, 200, "application/json", &reply, NULL);
	call_free(call);
}

static int take_room(struct call *call, size_t len, struct error *err)
{
	size_t max = call->api->replies_max_bytes;

	if (max > 0 && len > max - call->replies_bytes)
		return error_set(err, ERR_TOO_LARGE,
				 "The answers to this request are larger than %zu MiB together.",
				 max / 1024 / 1024);
	call->replies_bytes += len;
	return 0;
}

static void give(struct answer *answer, struct buf *text, const struct error *err)
{
	struct element *e = element_of(answer);
	struct call *call = e->call;
	struct error no_room;

	if (!err && take_room(call, text->len, &no_room) < 0)
		err = &no_room;
	if (call->api->answered)
		call->api->answered(call->request, e->fields, text, err, call->api->userdata);
	if (err) {
		e->err = *err;
	} else {
		e->reply = *text;
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

static size_t aligned(size_t size)
{
	return (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
}

/* @text_len: room for a text, to which *@ret_text points. */
static struct call *call_new(const struct api *api, const struct operation *op, size_t n,
			     size_t text_len, char **ret_text, struct error *err)
{
	size_t fields_at = aligned(sizeof(struct call) + n * sizeof(struct element));
	size_t fields_size = aligned(op->params->size);
	size_t text_at = fields_at + n * fields_size;
	struct call *call = malloc(text_at + text_len);

	if (!call) {
		(void)error_oom(err);
		return NULL;
	}
	memset(call, 0, fields_at);
	call->api = api;
	call->op = op;
	call->n_elements = n;
	call->n_open = n;
	uuid_make(call->request_id);
	for (size_t i = 0; i < n; i++) {
		struct element *e = &call->elements[i];

		e->answer.give = give;
		e->call = call;
		e->fields = (char *)call + fields_at + i * fields_size;
	}
	*ret_text = (char *)call + text_at;
	return call;
}

/* --- a plain request: its text is enough -------------------------------------------------------
 */

static size_t skip_blanks(const char *text, size_t at)
{
	return at + strspn(text + at, " \t\r\n");
}

/* Elements of @body, whose copy is at @text; -1: there are others, or they are not plain. */
static int scan_elements(struct call *call, const struct buf *body, char *text)
{
	bool is_array = call->op->body == BODY_ELEMENTS;
	size_t at = skip_blanks(text, 0);

	if (is_array && text[at++] != '[')
		return -1;
	for (size_t i = 0; i < call->n_elements; i++) {
		struct element *e = &call->elements[i];

		at = skip_blanks(text, at);
		e->text = body->data + at;
		e->text_len = params_scan(call->op->params, text + at, e->fields);
		at = skip_blanks(text, at + e->text_len);
		if (e->text_len == 0 ||
		    (is_array && text[at++] != (i + 1 < call->n_elements ? ',' : ']')))
			return -1;
	}
	return skip_blanks(text, at) == body->len ? 0 : -1;
}

/* NULL without an error: it is not plain. */
static struct call *read_plain(const struct api *api, const struct operation *op,
			       const struct buf *body, struct error *err)
{
	AUTO(call_free_p) struct call *call = NULL;
	size_t n = 0;
	char *text;

	/* Nothing is nested in what is plain. */
	for (size_t i = 0; i < body->len; i++)
		n += body->data[i] == '{';
	if (op->body == BODY_PATH || n == 0 || n > (op->body == BODY_ELEMENTS ? ELEMENTS_MAX : 1))
		return NULL;
	call = call_new(api, op, n, body->len + 1, &text, err);
	if (!call)
		return NULL;
	memcpy(text, body->data, body->len + 1);
	return scan_elements(call, body, text) == 0 ? TAKE(call) : NULL;
}

/* --- any other request -------------------------------------------------------------------------
 */

static int read_elements(struct call *call, json_t *body, struct error *err)
{
	for (size_t i = 0; i < call->n_elements; i++) {
		struct element *e = &call->elements[i];

		e->json = json_incref(call->op->body == BODY_ELEMENTS ? json_array_get(body, i)
								      : body);
		if (params_read(call->op->params, e->json, e->fields, err) == 0)
			continue;
		if (call->n_elements > 1)
			return error_prefix(err, "entry %zu", i + 1);
		return -1;
	}
	return 0;
}

static struct call *read_any(const struct api *api, const struct operation *op,
			     const struct http_request *request, struct error *err)
{
	AUTO(call_free_p) struct call *call = NULL;
	json_auto_t *body = NULL;
	char *text;

	if (read_body(op, request, &body, err) < 0)
		return NULL;
	call = call_new(api, op, op->body == BODY_ELEMENTS ? json_array_size(body) : 1, 0, &text,
			err);
	return call && read_elements(call, body, err) == 0 ? TAKE(call) : NULL;
}

/* Nothing is carried out unless all of it can be read. */
static struct call *call_read(const struct api *api, const struct operation *op,
			      const struct http_request *request, struct error *err)
{
	struct call *call = read_plain(api, op, &request->body, err);

	return call || err->code != ERR_NONE ? call : read_any(api, op, request, err);
}

static void call_begin(struct call *call)
{
	const struct api *api = call->api;
	size_t n = call->n_elements;

	/* The last answer frees the call: neither it nor n_elements may be looked at after that. */
	call->n_open++;
	for (size_t i = 0; i < n; i++) {
		struct element *e = &call->elements[i];

		api->carry_out(call->op, call->caller, e->fields, &e->answer, api->userdata);
	}
	if (--call->n_open == 0)
		call_finish(call);
}

void call_serve(const struct api *api, const struct operation *op, struct http_request *request)
{
	const struct http_header *headers = NULL;
	struct error err = {0};
	struct call *call = NULL;
	void *caller = api->admit(request, op, &headers, api->userdata, &err);

	if (!caller && err.code == ERR_NONE)
		return;
	request->note.operation = op;
	request->note.caller = caller;
	if (caller)
		call = call_read(api, op, request, &err);
	if (!call) {
		http_reply_error(request, &err, caller ? NULL : headers);
		if (caller && api->release)
			api->release(caller);
		return;
	}
	call->caller = caller;
	call->request = request;
	request->note.request_id = call->request_id;
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
