/* CreateSessions: what begins, what does not, and why. */
#include "agent/operation.h"

#include "common/failures.h"
#include "common/text.h"
#include "tests/unit/agent/operation-fixture.h"

static void a_session_begins(void **state)
{
	struct fixture *f = *state;
	json_auto_t *reply = call(f, &alice, "CreateSessions",
				  "{'Name':'n','Owner':'alice','Type':'virtual'}", NULL);

	assert_true(is_uuid(json_get_text(reply, "Id")));
	assert_string_equal(json_get_text(reply, "Type"), "VIRTUAL");
	assert_string_equal(json_get_text(reply, "State"), "CREATING");
	assert_string_equal(json_get_text(reply, "Substate"), "SESSION_PLACING");
	assert_int_equal(json_object_size(reply), 6);
	assert_int_equal(f->n_created, 1);
	assert_true(f->n_changed > 0);
}

static void the_same_request_twice_makes_two_sessions(void **state)
{
	struct fixture *f = *state;

	(void)make(f, "alice", SESSION_CREATING);
	(void)make(f, "alice", SESSION_CREATING);
	assert_int_equal(f->n_created, 2);
}

static void the_broker_repeats_itself_without_effect(void **state)
{
	static const char body[] = "{'Name':'n','Owner':'alice','Type':'VIRTUAL'}";
	static const char context[] =
		"{'SessionId':'s-1','CreationTime':'2026-03-02T08:00:11.042Z'}";
	static const struct {
		enum session_state state;
		const char *name;
	} states[] = {{SESSION_CREATING, "CREATING"},
		      {SESSION_READY, "READY"},
		      {SESSION_DELETING, "DELETING"},
		      {SESSION_DELETED, "DELETED"}};
	struct fixture *f = *state;

	f->config.max_sessions_per_user = 1; /* the repetition is not refused by it either */
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		json_auto_t *reply = call(f, &broker, "CreateSessions", body, context);
		struct session *s = session_list_find(&f->agent.sessions, "s-1");
		json_auto_t *again = NULL;

		assert_string_equal(json_get_text(reply, "Id"), "s-1");
		assert_int_equal(f->n_created, 1);
		assert_int_equal(s->creation_time_ms, 1772438411042);
		s->state = states[i].state;
		again = call(f, &broker, "CreateSessions", body, context);
		assert_string_equal(json_get_text(again, "State"), states[i].name);
	}
	assert_int_equal(f->n_created, 1);
}

static void a_later_attempt_at_what_has_ended_begins_anew(void **state)
{
	static const char body[] = "{'Name':'n','Owner':'alice','Type':'VIRTUAL'}";
	struct fixture *f = *state;

	json_decref(call(f, &broker, "CreateSessions", body, "{'SessionId':'s','Attempt':1}"));
	/* it lives: whatever the attempt, there is nothing to do */
	json_decref(call(f, &broker, "CreateSessions", body, "{'SessionId':'s','Attempt':2}"));
	assert_int_equal(f->n_created, 1);
	session_list_find(&f->agent.sessions, "s")->state = SESSION_DELETED;
	json_decref(call(f, &broker, "CreateSessions", body, "{'SessionId':'s','Attempt':1}"));
	assert_int_equal(f->n_created, 1);
	json_decref(call(f, &broker, "CreateSessions", body, "{'SessionId':'s','Attempt':2}"));
	assert_int_equal(f->n_created, 2);
	assert_int_equal(session_list_find(&f->agent.sessions, "s")->state, SESSION_CREATING);
}

static void an_id_of_the_brokers_must_be_one(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(failure(f, &broker, "CreateSessions",
				    "{'Name':'n','Owner':'alice','Type':'VIRTUAL'}",
				    "{'SessionId':'../x'}", ERR_INVALID),
			    "SessionId is not one");
	assert_int_equal(f->n_created, 0);
}

static void what_may_not_begin_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *body;
		enum error_code code;
		const char *sentence;
	} bad[] = {
		{"{'Name':'n','Owner':'bob','Type':'VIRTUAL'}", ERR_DENIED,
		 "user alice may create sessions for themselves only"},
		{"{'Name':'n','Owner':'alice','Type':'VIRTUAL','Requirements':' tag:a'}",
		 ERR_UNSUPPORTED, "Requirements choose among the servers of a broker"},
		{"{'Name':'n','Owner':'alice','Type':'CONSOLE','InitFile':'x'}", ERR_UNSUPPORTED,
		 "InitFile is not supported for CONSOLE sessions"},
		{"{'Name':'n','Owner':'alice','Type':'console','AutorunFile':'x'}", ERR_UNSUPPORTED,
		 "AutorunFile is not supported for CONSOLE sessions"},
		{"{'Name':'n','Owner':'alice','Type':'CONSOLE','DcvGLEnabled':true}",
		 ERR_UNSUPPORTED, "DcvGlEnabled is not supported for CONSOLE sessions"},
		{"{'Name':'n','Owner':'alice','Type':'VIRTUAL','AutorunFileArguments':['x']}",
		 ERR_INVALID, "AutorunFileArguments needs AutorunFile"},
		{"{'Name':'n','Owner':'alice','Type':'VIRTUAL','PermissionsFile':'*'}", ERR_INVALID,
		 FAILURE_BAD_PERMISSIONS},
		{"{'Name':'n','Owner':'alice','Type':'VIRTUAL','PermissionsFile':'" BROKEN "'}",
		 ERR_INVALID, "Invalid permissions file, line 3: unknown rule permit"},
		{"{'Name':'n','Owner':'alice','Type':'VIRTUAL','Foo':1}", ERR_INVALID,
		 "Unrecognized field \"Foo\""},
		{"{'Name':'n','Owner':'alice'}", ERR_INVALID, "Type is required"},
		{"[]", ERR_INVALID, "expected a JSON object"},
	};
	struct fixture *f = *state;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_string_equal(
			failure(f, &alice, "CreateSessions", bad[i].body, NULL, bad[i].code),
			bad[i].sentence);
	assert_int_equal(server_set_closed(&f->agent.server, true, &err), 0);
	assert_string_equal(failure(f, &alice, "CreateSessions",
				    "{'Name':'n','Owner':'alice','Type':'VIRTUAL'}", NULL,
				    ERR_LIMIT),
			    "this server is closed");
	assert_int_equal(f->n_created, 0);
	assert_int_equal(session_list_count(&f->agent.sessions, NULL).n_virtual, 0);
}

static void blank_requirements_and_features_not_asked_for_are_fine(void **state)
{
	struct fixture *f = *state;
	json_auto_t *reply = NULL;
	/* those of the broker's have been looked at there */
	json_auto_t *relayed = call(f, &broker, "CreateSessions",
				    "{'Name':'n','Owner':'alice','Type':'VIRTUAL',"
				    "'Requirements':'tag:a = 1'}",
				    "{'SessionId':'s'}");

	assert_string_equal(json_get_text(relayed, "Id"), "s");
	session_list_remove(&f->agent.sessions, session_list_find(&f->agent.sessions, "s"));
	reply = call(f, &alice, "CreateSessions",
		     "{'Name':'n','Owner':'alice','Type':'CONSOLE','Requirements':'  ',"
		     "'DcvGlEnabled':false,'AutorunFileArguments':[],'InitFile':null}",
		     NULL);
	assert_string_equal(json_get_text(reply, "Type"), "CONSOLE");
}

static void arguments_are_counted_in_characters(void **state)
{
	struct fixture *f = *state;
	json_auto_t *arguments = json_array(), *body = NULL;
	char word[151 * 2 + 1] = {0};
	struct reply reply;

	for (size_t i = 0; i < 150; i++)
		memcpy(word + 2 * i, "\xc3\xa4", 2);
	for (size_t i = 0; i < 50; i++)
		(void)json_array_append_new(arguments, json_string(word));
	body = json_pack("{s:s,s:s,s:s,s:s,s:O}", "Name", "n", "Owner", "alice", "Type", "VIRTUAL",
			 "AutorunFile", "x", "AutorunFileArguments", arguments);
	carry_out(f, &alice, "CreateSessions", body, NULL, &reply);
	assert_non_null(reply.json);
	json_decref(reply.json);
	(void)json_array_append_new(arguments, json_string("x"));
	carry_out(f, &alice, "CreateSessions", body, NULL, &reply);
	assert_string_equal(reply.err.message,
			    "AutorunFileArguments: at most 50 arguments allowed");
	(void)json_array_clear(arguments);
	memcpy(word + 300, "\xc3\xa4", 2);
	(void)json_array_append_new(arguments, json_string(word));
	carry_out(f, &alice, "CreateSessions", body, NULL, &reply);
	assert_string_equal(reply.err.message,
			    "AutorunFileArguments: at most 150 characters allowed in an argument");
}

static void an_init_file_path_may_begin_with_the_folder(void **state)
{
	static const struct {
		const char *given, *kept;
	} paths[] = {
		{"/var/lib/dcv-session-manager-agent/init/gnome.sh", "gnome.sh"},
		{"/var/lib/dcv-session-manager-agent/init//a/b.sh", "a/b.sh"},
		{"/var/lib/dcv-session-manager-agent/initial.sh",
		 "/var/lib/dcv-session-manager-agent/initial.sh"},
		{"gnome.sh", "gnome.sh"},
		{"/bin/true", "/bin/true"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		json_auto_t *reply = call(
			f, &alice, "CreateSessions",
			body_of("{'Name':'n','Owner':'alice','Type':'VIRTUAL','InitFilePath':'%s'}",
				paths[i].given, ""),
			NULL);

		assert_string_equal(
			session_list_find(&f->agent.sessions, json_get_text(reply, "Id"))
				->init_file,
			paths[i].kept);
	}
}

static void what_the_engine_refuses_has_not_begun(void **state)
{
	struct fixture *f = *state;

	f->engine_refuses = true;
	assert_string_equal(failure(f, &alice, "CreateSessions",
				    "{'Name':'n','Owner':'alice','Type':'VIRTUAL'}", NULL,
				    ERR_UNREACHABLE),
			    "session keeper: nobody there");
	assert_int_equal(session_list_count(&f->agent.sessions, NULL).n_virtual, 0);
	assert_int_equal(rmdir(in_folder(&f->folder, "sessions")), 0); /* it is empty */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_begins),
		TEST(the_same_request_twice_makes_two_sessions),
		TEST(the_broker_repeats_itself_without_effect),
		TEST(a_later_attempt_at_what_has_ended_begins_anew),
		TEST(an_id_of_the_brokers_must_be_one),
		TEST(what_may_not_begin_is_refused_with_a_reason),
		TEST(blank_requirements_and_features_not_asked_for_are_fine),
		TEST(arguments_are_counted_in_characters),
		TEST(an_init_file_path_may_begin_with_the_folder),
		TEST(what_the_engine_refuses_has_not_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
