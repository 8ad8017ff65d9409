/* call.c with an HTTP server that is these two functions: the library's are not linked then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/call.h"
#include "common/json.h"
#include "common/log.h"
#include "common/requests.h"
#include "common/text.h"
#include "tests/unit/unit.h"

#define N_WAITING_MAX 8

struct fixture {
	struct http_request request;
	/* what was answered */
	int n_replies, status;
	json_t *reply;
	char allow[16];
	/* the program behind the API */
	struct api api;
	struct answer *waiting[N_WAITING_MAX];
	size_t n_carried_out, n_released;
	char carried_out[512];
	bool is_refusing, answers_later;
	enum error_code failure; /* of elements whose id is "bad" */
};

static struct fixture fixture;

void http_reply(struct http_request *request, int status, const char *content_type,
		struct buf *body, const struct http_header *headers)
{
	struct error err;

	assert_ptr_equal(request, &fixture.request);
	assert_string_equal(content_type, "application/json");
	fixture.n_replies++;
	fixture.status = status;
	json_decref(fixture.reply);
	fixture.reply = NULL;
	if (json_parse(body->data, body->len, &fixture.reply, &err) < 0)
		fail_msg("%s: %s", err.message, body->data);
	for (; headers && headers->name; headers++) {
		if (strcmp(headers->name, "Allow") == 0)
			(void)snprintf(fixture.allow, sizeof(fixture.allow), "%s", headers->value);
	}
	buf_done(body);
}

void http_reply_error(struct http_request *request, const struct error *err,
		      const struct http_header *headers)
{
	AUTO(buf_done) struct buf body = {0};
	struct error ignored;

	assert_int_equal(buf_append_text(&body, "{\"error\":", &ignored), 0);
	assert_int_equal(json_append_string(&body, err->message, &ignored), 0);
	assert_int_equal(buf_append_text(&body, "}", &ignored), 0);
	http_reply(request, error_http_status(err->code), "application/json", &body, headers);
}

static const char *id_of(const json_t *body)
{
	const char *id = json_get_text(body, "SessionId");

	id = id ? id : json_get_text(body, "ServerId");
	return id ? id : json_get_text(body, "Name");
}

static void answer(struct answer *to, const json_t *body)
{
	const char *id = id_of(body);
	struct error err;

	if (id && strcmp(id, "bad") == 0) {
		(void)error_set(&err, fixture.failure, "it is \"bad\"");
		answer_fail(to, &err);
	} else {
		answer_succeed_json(to, json_pack("{s:s*}", "Id", id));
	}
}

/* However a request was read, its fields, its JSON and its text say the same. */
static void check_fields(const struct operation *op, const void *fields, struct answer *to,
			 const json_t *body)
{
	json_auto_t *again = NULL;
	struct delete_session_request deletion;
	const struct delete_session_request *read = fields;
	struct error err;
	size_t len;
	const char *text = answer_asked_text(to, &len, &err);

	if (json_parse(text, len, &again, &err) < 0)
		fail_msg("%.*s: %s", (int)len, text, err.message);
	assert_true(json_equal(again, body));
	if (op->id != OPERATION_delete_sessions)
		return;
	assert_int_equal(params_read(op->params, body, &deletion, &err), 0);
	assert_string_equal(read->session_id, deletion.session_id);
	assert_string_equal(read->owner, deletion.owner);
	assert_int_equal(read->force, deletion.force);
}

static void carry_out(const struct operation *op, const void *caller, const void *fields,
		      struct answer *to, void *userdata)
{
	struct error err;
	json_t *body = answer_asked_json(to, &err);
	AUTO(free_p) char *text = json_dumps(body, JSON_COMPACT);

	check_fields(op, fields, to, body);
	assert_string_equal(caller, "caller");
	assert_ptr_equal(userdata, &fixture);
	strncat(fixture.carried_out, text,
		sizeof(fixture.carried_out) - strlen(fixture.carried_out) - 1);
	if (fixture.answers_later && fixture.n_carried_out < N_WAITING_MAX)
		fixture.waiting[fixture.n_carried_out] = to;
	else
		answer(to, body);
	fixture.n_carried_out++;
}

static void *admit(struct http_request *request, const struct operation *op,
		   const struct http_header **ret_headers, void *userdata, struct error *err)
{
	(void)request;
	(void)op;
	(void)ret_headers;
	(void)userdata;
	if (!fixture.is_refusing)
		return strdup("caller");
	(void)error_set(err, ERR_UNAUTHORIZED, "No authorization header");
	return NULL;
}

static void release(void *caller)
{
	fixture.n_released++;
	free(caller);
}

static int set_up(void **state)
{
	log_set_level(LOG_LEVEL_ERROR);
	fixture = (struct fixture){
		.failure = ERR_CONFLICT,
		.api = {.carry_out = carry_out,
			.admit = admit,
			.release = release,
			.userdata = &fixture},
	};
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	json_decref(f->reply);
	buf_done(&f->request.body);
	return f->n_released <= 1 ? 0 : -1;
}

static void serve(struct fixture *f, const char *method, const char *path, const char *body)
{
	struct error err;

	f->request.method = method;
	f->request.path = path;
	buf_done(&f->request.body);
	if (body)
		assert_int_equal(buf_append_text(&f->request.body, body, &err), 0);
	f->n_replies = 0;
	call_route(&f->api, &f->request);
}

/* The reply without its RequestId, which is checked, as compact text. */
static char *reply_text(const struct fixture *f)
{
	static char text[1024];
	AUTO(free_p) char *dump = NULL;
	const char *request_id = json_get_text(f->reply, "RequestId");

	assert_int_equal(f->n_replies, 1);
	assert_int_equal(f->status, 200);
	if (request_id)
		assert_true(is_uuid(request_id));
	(void)json_object_del(f->reply, "RequestId");
	dump = json_dumps(f->reply, JSON_COMPACT);
	(void)snprintf(text, sizeof(text), "%s%s", request_id ? "+" : "", dump);
	return text;
}

static void assert_refused(const struct fixture *f, int status, const char *message)
{
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(f->status, status);
	assert_string_equal(json_get_text(f->reply, "error"), message);
	assert_int_equal(json_object_size(f->reply), 1);
	assert_int_equal(f->n_carried_out, 0);
}

static void each_element_is_answered_by_itself(void **state)
{
	struct fixture *f = *state;

	serve(f, "POST", "/deleteSessions",
	      "[{\"SessionId\":\"a\",\"Owner\":\"o\"},{\"SessionId\":\"bad\",\"Owner\":\"o\"},"
	      "{\"SessionId\":\"c\",\"Owner\":\"o\"}]");
	assert_string_equal(reply_text(f), "+{\"SuccessfulList\":[{\"Id\":\"a\"},{\"Id\":\"c\"}],"
					   "\"UnsuccessfulList\":[{\"SessionId\":\"bad\","
					   "\"FailureReason\":\"it is \\\"bad\\\"\"}]}");
	assert_int_equal(f->n_released, 1);
}

static void answers_may_come_later_and_in_any_order(void **state)
{
	struct fixture *f = *state;

	f->answers_later = true;
	serve(f, "POST", "/openServers",
	      "[{\"ServerId\":\"a\"},{\"ServerId\":\"b\"},{\"ServerId\":\"c\"}]");
	assert_int_equal(f->n_carried_out, 3);
	answer_succeed_json(f->waiting[2], json_pack("{s:s}", "ServerId", "c"));
	answer_succeed_json(f->waiting[0], json_pack("{s:s}", "ServerId", "a"));
	assert_int_equal(f->n_replies, 0);
	assert_int_equal(f->n_released, 0);
	answer_succeed_json(f->waiting[1], json_pack("{s:s}", "ServerId", "b"));
	assert_string_equal(reply_text(f),
			    "+{\"SuccessfulList\":[{\"ServerId\":\"a\"},{\"ServerId\":\"b\"},"
			    "{\"ServerId\":\"c\"}],\"UnsuccessfulList\":[]}");
	assert_int_equal(f->n_released, 1);
}

static void a_failure_repeats_what_was_asked_under_canonical_names(void **state)
{
	struct fixture *f = *state;

	serve(f, "POST", "/createSessions",
	      "[{\"Name\":\"bad\",\"Owner\":\"o\",\"Type\":\"Console\",\"MaxConcurrents\":3,"
	      "\"InitFile\":null}]");
	assert_string_equal(reply_text(f),
			    "+{\"SuccessfulList\":[],\"UnsuccessfulList\":[{"
			    "\"CreateSessionRequestData\":{\"Name\":\"bad\",\"Owner\":\"o\","
			    "\"Type\":\"Console\",\"MaxConcurrentClients\":3},"
			    "\"FailureReason\":\"it is \\\"bad\\\"\"}]}");
}

static void a_server_that_fails_has_a_code(void **state)
{
	struct fixture *f = *state;

	serve(f, "POST", "/closeServers", "[{\"ServerId\":\"bad\",\"Force\":false}]");
	assert_string_equal(reply_text(f),
			    "+{\"SuccessfulList\":[],\"UnsuccessfulList\":[{"
			    "\"CloseServerRequestData\":{\"ServerId\":\"bad\",\"Force\":false},"
			    "\"FailureCode\":\"DCV_SERVER_HAS_SESSIONS\","
			    "\"FailureReason\":\"it is \\\"bad\\\"\"}]}");
}

static void an_empty_array_is_answered_with_empty_lists(void **state)
{
	struct fixture *f = *state;

	serve(f, "POST", "/createSessions", "[]");
	assert_string_equal(reply_text(f), "+{\"SuccessfulList\":[],\"UnsuccessfulList\":[]}");
	assert_int_equal(f->n_released, 1);
}

static void a_describe_operation_takes_nothing_null_and_an_object_alike(void **state)
{
	static const char *const bodies[] = {NULL, "", "null", "{}", "{\"ServerIds\":[]}"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		f->n_released = 0;
		serve(f, "POST", "/describeServers", bodies[i]);
		assert_string_equal(reply_text(f), "+{}");
	}
}

static void a_path_is_session_then_user_with_all_that_follows(void **state)
{
	struct fixture *f = *state;

	serve(f, "GET", "/sessionConnectionData/s 1/DOM\\user/x", NULL);
	assert_string_equal(f->carried_out, "{\"SessionId\":\"s 1\",\"User\":\"DOM\\\\user/x\"}");
	assert_string_equal(reply_text(f), "{\"Id\":\"s 1\"}");
}

static void an_object_that_fails_is_an_error_of_the_call(void **state)
{
	struct fixture *f = *state;

	serve(f, "GET", "/sessionConnectionData/bad/user", NULL);
	assert_int_equal(f->n_carried_out, 1);
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(f->status, 409);
	assert_string_equal(json_get_text(f->reply, "error"), "it is \"bad\"");
	assert_int_equal(f->n_released, 1);
}

static void nothing_is_carried_out_unless_every_element_is_well_formed(void **state)
{
	static const struct {
		const char *path, *body, *message;
	} cases[] = {
		{"/deleteSessions", "[{\"SessionId\":\"a\",\"Owner\":\"o\"},{\"SessionId\":\"b\"}]",
		 "entry 2: Owner is required"},
		{"/deleteSessions", "[{\"SessionId\":\"a\"}]", "Owner is required"},
		{"/deleteSessions", "[null]", "expected a JSON object"},
		{"/deleteSessions", "[[]]", "expected a JSON object"},
		{"/deleteSessions", "{}", "the body must be a JSON array"},
		{"/deleteSessions", NULL, "the body must be a JSON array"},
		{"/deleteSessions", "null", "the body must be a JSON array"},
		{"/deleteSessions", "[",
		 "invalid JSON at line 1, column 1: ']' expected near end of file"},
		{"/describeSessions", "[]", "the body must be a JSON object"},
		{"/describeSessions", "5", "the body must be a JSON object"},
		{"/describeSessions", "{\"X\":1}", "Unrecognized field \"X\""},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		f->n_released = 0;
		serve(f, "POST", cases[i].path, cases[i].body);
		assert_refused(f, 400, cases[i].message);
		assert_int_equal(f->n_released, 1);
	}
}

static void at_most_a_thousand_elements_are_allowed(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf body = {0};
	struct error err;

	for (int i = 0; i < 1001; i++)
		assert_int_equal(
			buf_append_text(
				&body, i ? ",{\"ServerId\":\"a\"}" : "[{\"ServerId\":\"a\"}", &err),
			0);
	assert_int_equal(buf_append_text(&body, "]", &err), 0);
	serve(f, "POST", "/openServers", body.data);
	assert_refused(f, 400, "at most 1000 entries allowed");
	f->n_released = 0;
	memset(body.data + 1, ' ', strlen("{\"ServerId\":\"a\"},"));
	serve(f, "POST", "/openServers", body.data);
	assert_int_equal(f->status, 200);
	assert_int_equal(f->n_carried_out, 1000);
}

static void who_is_not_admitted_learns_nothing_else(void **state)
{
	struct fixture *f = *state;

	f->is_refusing = true;
	serve(f, "POST", "/deleteSessions", "nonsense");
	assert_refused(f, 401, "No authorization header");
	assert_int_equal(f->n_released, 0);
}

static void incomplete_paths_are_refused(void **state)
{
	static const char *const paths[] = {"/sessionConnectionData/", "/sessionConnectionData/a",
					    "/sessionConnectionData/a/",
					    "/sessionConnectionData//u"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		f->n_released = 0;
		serve(f, "GET", paths[i], NULL);
		assert_refused(f, 400,
			       "the path must be /sessionConnectionData/{sessionId}/{user}");
	}
	f->n_released = 0;
	serve(f, "GET", "/sessionConnectionData/a/\xff", NULL);
	assert_refused(f, 400, "the path is not UTF-8");
	f->n_released = 0;
	serve(f, "GET", "/sessionConnectionData/a/ ", NULL);
	assert_refused(f, 400, "User must not be blank");
}

static void what_is_no_operation_is_404_and_a_wrong_method_405(void **state)
{
	struct fixture *f = *state;

	serve(f, "POST", "/nothing", "{}");
	assert_refused(f, 404, "no operation at '/nothing'");
	assert_string_equal(f->allow, "");
	serve(f, "GET", "/describeSessions", NULL);
	assert_refused(f, 405, "/describeSessions takes POST, not GET");
	assert_string_equal(f->allow, "POST");
}

static void memory_that_ran_out_is_a_failure_of_the_element(void **state)
{
	struct fixture *f = *state;

	f->answers_later = true;
	serve(f, "POST", "/openServers", "[{\"ServerId\":\"a\"}]");
	answer_succeed_json(f->waiting[0], NULL);
	assert_string_equal(reply_text(f),
			    "+{\"SuccessfulList\":[],\"UnsuccessfulList\":[{"
			    "\"OpenServerRequestData\":{\"ServerId\":\"a\"},"
			    "\"FailureCode\":\"DCV_SERVER_ERROR\",\"FailureReason\":\"out of "
			    "memory\"}]}");
}

#define WITH_API(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_API(each_element_is_answered_by_itself),
		WITH_API(answers_may_come_later_and_in_any_order),
		WITH_API(a_failure_repeats_what_was_asked_under_canonical_names),
		WITH_API(a_server_that_fails_has_a_code),
		WITH_API(an_empty_array_is_answered_with_empty_lists),
		WITH_API(a_describe_operation_takes_nothing_null_and_an_object_alike),
		WITH_API(a_path_is_session_then_user_with_all_that_follows),
		WITH_API(an_object_that_fails_is_an_error_of_the_call),
		WITH_API(nothing_is_carried_out_unless_every_element_is_well_formed),
		WITH_API(at_most_a_thousand_elements_are_allowed),
		WITH_API(who_is_not_admitted_learns_nothing_else),
		WITH_API(incomplete_paths_are_refused),
		WITH_API(what_is_no_operation_is_404_and_a_wrong_method_405),
		WITH_API(memory_that_ran_out_is_a_failure_of_the_element),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
