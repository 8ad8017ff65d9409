/* Each operation but CreateSessions, which has a file of its own. */
#include "agent/operation.h"

#include "common/failures.h"
#include "common/permissions.h"
#include "common/text.h"
#include "tests/unit/agent/operation-fixture.h"

/* "[permissions]", then "%any% allow display" */
#define VIEWERS "W3Blcm1pc3Npb25zXQolYW55JSBhbGxvdyBkaXNwbGF5Cg=="

static void nothing_is_done_before_the_agent_is_ready(void **state)
{
	struct fixture *f = *state;

	f->agent.is_ready = false;
	for (size_t i = 0; i < N_OPERATIONS; i++)
		assert_string_equal(
			failure(f, &root, operations[i].name, "{}", NULL, ERR_UNAVAILABLE),
			"the agent is starting");
}

/* --- DescribeSessions --------------------------------------------------------------------------
 */

static size_t count(struct fixture *f, const struct caller *caller, const char *body)
{
	json_auto_t *reply = call(f, caller, "DescribeSessions", body, NULL);

	assert_true(json_is_array(json_object_get(reply, "Sessions")));
	return json_array_size(json_object_get(reply, "Sessions"));
}

static void sessions_are_listed_for_who_may_see_them(void **state)
{
	struct fixture *f = *state;
	const struct session *s = make(f, "alice", SESSION_READY);
	json_auto_t *reply = NULL;
	const json_t *shown;

	(void)make(f, "bob", SESSION_READY);
	assert_int_equal(count(f, &root, "{}"), 2);
	assert_int_equal(count(f, &alice, "{}"), 1);
	assert_int_equal(count(f, &alice, "{'Filters':[{'Key':'owner','Value':'bob'}]}"), 0);
	assert_int_equal(count(f, &bob, body_of("{'SessionIds':['%s']}", s->id, "")), 0);
	reply = call(f, &alice, "DescribeSessions", "{}", NULL);
	shown = json_array_get(json_object_get(reply, "Sessions"), 0);
	assert_string_equal(json_get_text(shown, "Id"), s->id);
	assert_string_equal(json_get_text(json_object_get(shown, "Server"), "Id"),
			    f->agent.server.id);
}

static void filters_hold_all_together(void **state)
{
	struct fixture *f = *state;

	(void)make(f, "alice", SESSION_READY);
	assert_int_equal(count(f, &root,
			       "{'Filters':[{'Key':'owner','Value':'alice'},"
			       "{'Key':'tag:dcv:os-family','Value':'linux'}]}"),
			 1);
	assert_int_equal(count(f, &root,
			       "{'Filters':[{'Key':'owner','Value':'alice'},"
			       "{'Key':'tag:dcv:os-family','Value':'windows'}]}"),
			 0);
	assert_int_equal(count(f, &root, "{'Filters':[{'Key':'tag:none','Value':'x'}]}"), 0);
	assert_int_equal(count(f, &root, "{'Filters':[{'Key':'owner','Value':'Alice'}]}"), 0);
	assert_string_equal(failure(f, &root, "DescribeSessions",
				    "{'Filters':[{'Key':'name','Value':'n'}]}", NULL, ERR_INVALID),
			    "Filters: Key must be one of owner, tag:*");
	assert_non_null(strstr(failure(f, &root, "DescribeSessions",
				       "{'Filters':[{'Key':'owner'}]}", NULL, ERR_INVALID),
			       "Value is required"));
	assert_non_null(strstr(
		failure(f, &root, "DescribeSessions", "{'NextToken':'%%'}", NULL, ERR_INVALID),
		"NextToken"));
}

/* --- one session -------------------------------------------------------------------------------
 */

static void a_session_is_deleted_by_id_and_owner(void **state)
{
	struct fixture *f = *state;
	struct session *s = make(f, "alice", SESSION_READY);
	const char *body;
	json_auto_t *reply = NULL;

	s->part = (struct engine_session *)(void *)f; /* somebody to tell */
	assert_string_equal(failure(f, &root, "DeleteSessions",
				    body_of("{'SessionId':'%s','Owner':'%s'}", s->id, "bob"), NULL,
				    ERR_NOT_FOUND),
			    FAILURE_NO_SUCH_SESSION);
	assert_string_equal(failure(f, &bob, "DeleteSessions",
				    body_of("{'SessionId':'%s','Owner':'%s'}", s->id, "alice"),
				    NULL, ERR_NOT_FOUND),
			    FAILURE_NO_SUCH_SESSION);
	assert_int_equal(f->n_ended, 0);
	body = body_of("{'SessionId':'%s','Owner':'%s'}", s->id, "alice");
	reply = call(f, &alice, "DeleteSessions", body, NULL);
	assert_string_equal(json_get_text(reply, "State"), "DELETING");
	assert_string_equal(f->end_reason, "deleted on request");
	json_decref(call(f, &alice, "DeleteSessions", body, NULL)); /* the order is repeated */
	assert_int_equal(f->n_ended, 2);
	s->part = NULL;
	s->state = SESSION_DELETED;
	assert_string_equal(failure(f, &alice, "DeleteSessions", body, NULL, ERR_NOT_FOUND),
			    FAILURE_NO_SUCH_SESSION);
}

static void a_session_of_which_nothing_is_there_ends_at_once(void **state)
{
	struct fixture *f = *state;
	struct session *s = make(f, "alice", SESSION_READY);

	json_decref(call(f, &root, "DeleteSessions",
			 body_of("{'SessionId':'%s','Owner':'%s'}", s->id, "alice"), NULL));
	assert_int_equal(s->state, SESSION_DELETED);
	assert_string_equal(s->state_reason, "deleted on request");
}

static uint32_t features_of(const struct session *s, const char *user)
{
	const struct permissions_user who = {.name = user, .is_owner = strcmp(user, s->owner) == 0};
	struct rights rights = {0};
	struct error err;

	assert_int_equal(permissions_apply(s->rights, &who, &rights, &err), 0);
	return rights_features(&rights);
}

static void permissions_are_replaced_as_a_whole_or_not(void **state)
{
	static const char format[] = "{'SessionId':'%s','Owner':'alice','PermissionsFile':'%s'}";
	struct fixture *f = *state;
	struct session *s = make(f, "alice", SESSION_READY);

	assert_int_equal(features_of(s, "alice"), FEATURES_ALL);
	assert_int_equal(features_of(s, "bob"), 0);
	json_decref(
		call(f, &alice, "UpdateSessionPermissions", body_of(format, s->id, VIEWERS), NULL));
	assert_string_equal(failure(f, &alice, "UpdateSessionPermissions",
				    body_of(format, s->id, "no!"), NULL, ERR_INVALID),
			    FAILURE_BAD_PERMISSIONS);
	assert_string_equal(failure(f, &alice, "UpdateSessionPermissions",
				    body_of(format, s->id, BROKEN), NULL, ERR_INVALID),
			    "Invalid permissions file, line 3: unknown rule permit");
	assert_string_equal(failure(f, &bob, "UpdateSessionPermissions",
				    body_of(format, s->id, "W10="), NULL, ERR_NOT_FOUND),
			    FAILURE_NO_SUCH_SESSION);
	s->state = SESSION_DELETING;
	assert_string_equal(failure(f, &alice, "UpdateSessionPermissions",
				    body_of(format, s->id, "W10="), NULL, ERR_CONFLICT),
			    "the session is DELETING");
	assert_string_equal(s->permissions, VIEWERS);
	assert_int_equal(features_of(s, "alice"), FEATURE_BIT(FEATURE_display));
	assert_int_equal(features_of(s, "bob"), FEATURE_BIT(FEATURE_display));
}

static void permissions_that_cannot_be_recorded_are_not_taken(void **state)
{
	struct fixture *f = *state;
	struct session *s = make(f, "alice", SESSION_READY);
	char name[128];

	/* a folder in the place of the record */
	(void)snprintf(name, sizeof(name), "sessions/%s.json", s->id);
	assert_int_equal(unlink(in_folder(&f->folder, name)), 0);
	assert_int_equal(mkdir(in_folder(&f->folder, name), 0700), 0);
	(void)failure(f, &alice, "UpdateSessionPermissions",
		      body_of("{'SessionId':'%s','Owner':'alice','PermissionsFile':'%s'}", s->id,
			      VIEWERS),
		      NULL, ERR_SYSTEM);
	assert_null(s->permissions);
	assert_int_equal(features_of(s, "alice"), FEATURES_ALL);
}

static void an_empty_permissions_file_lets_nobody_in(void **state)
{
	struct fixture *f = *state;
	json_auto_t *reply =
		call(f, &alice, "CreateSessions",
		     "{'Name':'n','Owner':'alice','Type':'VIRTUAL','PermissionsFile':''}", NULL);
	const struct session *s = session_list_find(&f->agent.sessions, json_get_text(reply, "Id"));

	assert_int_equal(features_of(s, "alice"), 0);
}

static void connection_data_is_for_oneself_in_a_ready_session(void **state)
{
	static const char format[] = "{'SessionId':'%s','User':'%s'}";
	static const char name[] = "GetSessionConnectionData";
	struct fixture *f = *state;
	struct session *s = make(f, "alice", SESSION_CREATING);
	char expected[256];
	json_auto_t *reply = NULL;
	AUTO(free_p) char *user = NULL;
	struct error err;

	(void)snprintf(expected, sizeof(expected),
		       "Session %s is neither in READY nor in UNKNOWN state", s->id);
	assert_string_equal(
		failure(f, &alice, name, body_of(format, s->id, "alice"), NULL, ERR_INVALID),
		expected);
	s->state = SESSION_READY;
	assert_string_equal(
		failure(f, &alice, name, body_of(format, s->id, "bob"), NULL, ERR_DENIED),
		"user alice may connect as themselves only");
	(void)snprintf(expected, sizeof(expected), "Session not found: %s", s->id);
	assert_string_equal(
		failure(f, &bob, name, body_of(format, s->id, "bob"), NULL, ERR_INVALID), expected);
	reply = call(f, &root, name, body_of(format, s->id, "carol"), NULL);
	user = token_check(&f->agent.token_key, json_get_text(reply, "ConnectionToken"), s->id,
			   time_now_ms(), &err);
	assert_string_equal(user, "carol");
	s->state = SESSION_DELETED;
	assert_string_equal(
		failure(f, &alice, name, body_of(format, s->id, "alice"), NULL, ERR_INVALID),
		expected);
}

static void a_screenshot_has_the_bounds_of_request_broker_or_settings(void **state)
{
	struct fixture *f = *state;
	const struct session *s = make(f, "alice", SESSION_READY);
	json_auto_t *plain = parse(body_of("{'SessionId':'%s'}", s->id, ""));
	json_auto_t *bounded = parse(body_of("{'SessionId':'%s','MaxWidth':640,'MaxHeight':"
					     "9223372036854775807}",
					     s->id, ""));
	json_auto_t *context =
		parse("{'MaxWidth':320,'MaxHeight':200,'Format':'jpeg','Deadline':1500}");
	struct reply reply;

	carry_out(f, &alice, "GetSessionScreenshots", plain, NULL, &reply);
	assert_int_equal(f->wish.max_width, 160);
	assert_int_equal(f->wish.max_height, 100);
	assert_string_equal(f->wish.format, "png");
	assert_int_equal(f->wish.limit_ms, 6000);
	assert_int_equal(reply.n_given, 0); /* the engine answers later */
	answer_succeed_json(f->shot, json_pack("{s:i}", "x", 1));
	assert_int_equal(reply.n_given, 1);
	json_decref(reply.json);
	carry_out(f, &broker, "GetSessionScreenshots", plain, context, &reply);
	assert_int_equal(f->wish.max_width, 320);
	assert_int_equal(f->wish.max_height, 200);
	assert_string_equal(f->wish.format, "jpeg");
	assert_int_equal(f->wish.limit_ms, 1500);
	carry_out(f, &broker, "GetSessionScreenshots", bounded, context, &reply);
	assert_int_equal(f->wish.max_width, 640);
	assert_int_equal(f->wish.max_height, 65535);
}

static void a_screenshot_needs_a_session_that_is_ready(void **state)
{
	static const char name[] = "GetSessionScreenshots";
	struct fixture *f = *state;
	struct session *s = make(f, "alice", SESSION_CREATING);
	const char *body = body_of("{'SessionId':'%s'}", s->id, "");

	assert_string_equal(failure(f, &alice, name, body, NULL, ERR_CONFLICT),
			    "Dcv session is not ready.");
	s->state = SESSION_DELETING;
	assert_string_equal(failure(f, &alice, name, body, NULL, ERR_CONFLICT),
			    "Dcv session is not ready.");
	s->state = SESSION_READY;
	assert_string_equal(failure(f, &bob, name, body, NULL, ERR_NOT_FOUND),
			    "Dcv session not found.");
	s->state = SESSION_DELETED;
	assert_string_equal(failure(f, &alice, name, body, NULL, ERR_NOT_FOUND),
			    "Dcv session not found.");
}

/* --- the server --------------------------------------------------------------------------------
 */

static void the_one_server_is_listed_where_it_is_asked_for(void **state)
{
	struct fixture *f = *state;
	json_auto_t *all = call(f, &bob, "DescribeServers", "{}", NULL);
	json_auto_t *none = call(f, &bob, "DescribeServers", "{'ServerIds':['x']}", NULL);
	json_auto_t *one = call(f, &bob, "DescribeServers",
				body_of("{'ServerIds':['x','%s']}", f->agent.server.id, ""), NULL);

	assert_int_equal(json_array_size(json_object_get(all, "Servers")), 1);
	assert_int_equal(json_array_size(json_object_get(none, "Servers")), 0);
	assert_int_equal(json_array_size(json_object_get(one, "Servers")), 1);
}

static void a_server_is_closed_and_opened(void **state)
{
	struct fixture *f = *state;
	struct session *s = make(f, "alice", SESSION_DELETING);
	const char *id = f->agent.server.id;

	assert_string_equal(
		failure(f, &root, "CloseServers", "{'ServerId':'x'}", NULL, ERR_NOT_FOUND),
		"Dcv server not found.");
	assert_string_equal(
		failure(f, &root, "OpenServers", "{'ServerId':'x'}", NULL, ERR_NOT_FOUND),
		"Dcv server not found.");
	assert_string_equal(failure(f, &root, "CloseServers", body_of("{'ServerId':'%s'}", id, ""),
				    NULL, ERR_CONFLICT),
			    "Dcv server has running sessions.");
	json_decref(call(f, &root, "CloseServers",
			 body_of("{'ServerId':'%s','Force':true}", id, ""), NULL));
	assert_true(f->agent.server.is_closed);
	json_decref(call(f, &root, "OpenServers", body_of("{'ServerId':'%s'}", id, ""), NULL));
	json_decref(call(f, &root, "OpenServers", body_of("{'ServerId':'%s'}", id, ""), NULL));
	assert_false(f->agent.server.is_closed);
	s->state = SESSION_DELETED;
	json_decref(call(f, &root, "CloseServers", body_of("{'ServerId':'%s'}", id, ""), NULL));
	assert_true(f->agent.server.is_closed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_done_before_the_agent_is_ready),
		TEST(sessions_are_listed_for_who_may_see_them),
		TEST(filters_hold_all_together),
		TEST(a_session_is_deleted_by_id_and_owner),
		TEST(a_session_of_which_nothing_is_there_ends_at_once),
		TEST(permissions_are_replaced_as_a_whole_or_not),
		TEST(permissions_that_cannot_be_recorded_are_not_taken),
		TEST(an_empty_permissions_file_lets_nobody_in),
		TEST(connection_data_is_for_oneself_in_a_ready_session),
		TEST(a_screenshot_has_the_bounds_of_request_broker_or_settings),
		TEST(a_screenshot_needs_a_session_that_is_ready),
		TEST(the_one_server_is_listed_where_it_is_asked_for),
		TEST(a_server_is_closed_and_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
