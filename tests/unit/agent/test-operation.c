/* Each operation with an engine that this test plays. */
#include "agent/operation.h"

#include "common/failures.h"
#include "common/json.h"
#include "common/permissions.h"
#include "common/text.h"
#include "tests/unit/agent/fixture.h"

/* "[permissions]", then "%any% allow display"; or a line of the owner and "pavel permit display" */
#define VIEWERS "W3Blcm1pc3Npb25zXQolYW55JSBhbGxvdyBkaXNwbGF5Cg=="
#define BROKEN "W3Blcm1pc3Npb25zXQolb3duZXIlIGFsbG93IGJ1aWx0aW4KcGF2ZWwgcGVybWl0IGRpc3BsYXkK"

static char version[] = "1.2";

struct fixture {
	struct folder folder;
	struct agent_config config;
	struct loop loop;
	struct agent agent;
	struct engine engine;
	bool engine_refuses;
	unsigned n_created, n_ended, n_changed;
	char end_reason[64];
	struct screenshot_wish wish;
	struct answer *shot; /* a screenshot that waits */
};

static struct fixture *the_fixture; /* engine operations have no userdata */

struct reply {
	struct answer answer; /* first */
	json_t *json;
	struct error err;
	unsigned n_given;
};

static void give(struct answer *answer, struct buf *text, const struct error *err)
{
	struct reply *reply = (struct reply *)(void *)answer;
	struct error problem = {0};

	reply->n_given++;
	if (err)
		reply->err = *err;
	else if (json_parse(text->data, text->len, &reply->json, &problem) < 0)
		fail_msg("%s: %s", problem.message, text->data);
}

static int engine_create(struct engine *engine, struct session *session, struct error *err)
{
	(void)engine;
	(void)session;
	if (the_fixture->engine_refuses)
		return error_set(err, ERR_UNREACHABLE, "session keeper: nobody there");
	the_fixture->n_created++;
	return 0;
}

static void engine_end(struct engine *engine, struct session *session, const char *reason)
{
	(void)engine;
	(void)session;
	the_fixture->n_ended++;
	(void)snprintf(the_fixture->end_reason, sizeof(the_fixture->end_reason), "%s", reason);
}

static void engine_screenshot(struct engine *engine, struct session *session,
			      const struct screenshot_wish *wish, struct answer *answer)
{
	(void)engine;
	(void)session;
	the_fixture->wish = *wish;
	the_fixture->shot = answer;
}

static void engine_free(struct engine *engine)
{
	(void)engine;
}

static const struct engine_ops ops = {.name = "fake",
				      .check = engine_is_well,
				      .create = engine_create,
				      .end = engine_end,
				      .screenshot = engine_screenshot,
				      .free = engine_free};

static void on_changed(void *userdata)
{
	((struct fixture *)userdata)->n_changed++;
}

static int set_up(void **state)
{
	static struct fixture f;
	const struct session_list_handler handler = {.changed = on_changed, .userdata = &f};
	struct error err;

	f = (struct fixture){.engine = {.ops = &ops, .status.version = version}};
	the_fixture = &f;
	log_set_level(LOG_LEVEL_ERROR);
	folder_make(&f.folder);
	config_make(&f.config, &f.folder);
	assert_int_equal(loop_init(&f.loop, &err), 0);
	f.agent = (struct agent){.loop = &f.loop,
				 .config = &f.config,
				 .engine = &f.engine,
				 .is_ready = true,
				 .on_change = on_changed,
				 .userdata = &f};
	assert_int_equal(token_key_load(&f.agent.token_key, in_folder(&f.folder, "key"), &err), 0);
	assert_int_equal(session_list_init(&f.agent.sessions, &f.loop, &f.config, f.folder.path,
					   &handler, &err),
			 0);
	assert_int_equal(server_init(&f.agent.server, &f.config, &f.agent.sessions, &f.engine,
				     f.folder.path, &err),
			 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	agent_done(&f->agent);
	loop_done(&f->loop);
	agent_config_done(&f->config);
	folder_remove(&f->folder);
	return 0;
}

static const struct caller root = {.name = (char *)"root", .is_admin = true};
static const struct caller alice = {.name = (char *)"alice"};
static const struct caller bob = {.name = (char *)"bob"};
static const struct caller broker = {.name = (char *)"broker", .is_admin = true, .is_broker = true};

/* Bodies and contexts are written with ' for ". */
static json_t *parse(const char *text)
{
	char copy[4096];
	struct error err;
	json_t *json = NULL;

	if (!text)
		return NULL;
	(void)snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	if (json_parse(copy, strlen(copy), &json, &err) < 0)
		fail_msg("%s: %s", err.message, copy);
	return json;
}

static void carry_out(struct fixture *f, const struct caller *caller, const char *name,
		      const json_t *body, const json_t *context, struct reply *reply)
{
	*reply = (struct reply){.answer.give = give};
	operation_carry_out(&(struct request){.agent = &f->agent,
					      .op = operation_find_name(name),
					      .caller = caller,
					      .body = body,
					      .context = context,
					      .answer = &reply->answer});
}

/* The reply of an operation that succeeds at once; the caller drops it. */
static json_t *call(struct fixture *f, const struct caller *caller, const char *name,
		    const char *body, const char *context)
{
	json_auto_t *b = parse(body), *c = parse(context);
	struct reply reply;

	carry_out(f, caller, name, b, c, &reply);
	assert_int_equal(reply.n_given, 1);
	if (!reply.json)
		fail_msg("%s", reply.err.message);
	return reply.json;
}

/* The sentence of an operation that fails at once. */
static const char *failure(struct fixture *f, const struct caller *caller, const char *name,
			   const char *body, const char *context, enum error_code code)
{
	static struct error err;
	json_auto_t *b = parse(body), *c = parse(context);
	struct reply reply;

	carry_out(f, caller, name, b, c, &reply);
	assert_int_equal(reply.n_given, 1);
	assert_null(reply.json);
	assert_int_equal(reply.err.code, code);
	err = reply.err;
	return err.message;
}

/* A session of @owner, made as an operation makes it. */
static struct session *make(struct fixture *f, const char *owner, enum session_state state)
{
	char body[256];
	json_auto_t *reply = NULL;
	struct session *s;

	(void)snprintf(body, sizeof(body), "{'Name':'n','Owner':'%s','Type':'virtual'}", owner);
	reply = call(f, &root, "CreateSessions", body, NULL);
	s = session_list_find(&f->agent.sessions, json_get_text(reply, "Id"));
	assert_non_null(s);
	s->state = state;
	return s;
}

static const char *body_of(const char *format, const char *a, const char *b)
{
	static char body[1024];

	(void)snprintf(body, sizeof(body), format, a, b);
	return body;
}

/* --- CreateSessions ----------------------------------------------------------------------------
 */

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
