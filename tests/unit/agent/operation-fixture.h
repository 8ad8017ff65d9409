/** What the tests of operations share: an agent with an engine that the test plays, callers, and
 * what they are told. */
#ifndef TESTS_UNIT_AGENT_OPERATION_FIXTURE_H
#define TESTS_UNIT_AGENT_OPERATION_FIXTURE_H

#include "agent/operation.h"
#include "common/json.h"
#include "tests/unit/agent/fixture.h"

/* "[permissions]", then a line of the owner and "pavel permit display" */
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

static inline void give(struct answer *answer, struct buf *text, const struct error *err)
{
	struct reply *reply = (struct reply *)(void *)answer;
	struct error problem = {0};

	reply->n_given++;
	if (err)
		reply->err = *err;
	else if (json_parse(text->data, text->len, &reply->json, &problem) < 0)
		fail_msg("%s: %s", problem.message, text->data);
}

static inline int engine_create(struct engine *engine, struct session *session, struct error *err)
{
	(void)engine;
	(void)session;
	if (the_fixture->engine_refuses)
		return error_set(err, ERR_UNREACHABLE, "session keeper: nobody there");
	the_fixture->n_created++;
	return 0;
}

static inline void engine_end(struct engine *engine, struct session *session, const char *reason)
{
	(void)engine;
	(void)session;
	the_fixture->n_ended++;
	(void)snprintf(the_fixture->end_reason, sizeof(the_fixture->end_reason), "%s", reason);
}

static inline void engine_screenshot(struct engine *engine, struct session *session,
				     const struct screenshot_wish *wish, struct answer *answer)
{
	(void)engine;
	(void)session;
	the_fixture->wish = *wish;
	the_fixture->shot = answer;
}

static inline void engine_free(struct engine *engine)
{
	(void)engine;
}

static const struct engine_ops ops = {.name = "fake",
				      .check = engine_is_well,
				      .create = engine_create,
				      .end = engine_end,
				      .screenshot = engine_screenshot,
				      .free = engine_free};

static inline void on_changed(void *userdata)
{
	((struct fixture *)userdata)->n_changed++;
}

static inline int set_up(void **state)
{
	static struct fixture f;
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
	agent_begin(&f.agent, &f.folder);
	*state = &f;
	return 0;
}

static inline int tear_down(void **state)
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
static inline json_t *parse(const char *text)
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

static inline void carry_out(struct fixture *f, const struct caller *caller, const char *name,
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
static inline json_t *call(struct fixture *f, const struct caller *caller, const char *name,
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
static inline const char *failure(struct fixture *f, const struct caller *caller, const char *name,
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
static inline struct session *make(struct fixture *f, const char *owner, enum session_state state)
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

static inline const char *body_of(const char *format, const char *a, const char *b)
{
	static char body[1024];

	(void)snprintf(body, sizeof(body), format, a, b);
	return body;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
