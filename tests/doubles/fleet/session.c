#include "tests/doubles/fleet/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"
#include "tests/doubles/fleet/agent.h"
#include "tests/doubles/fleet/fleet.h"

const char *session_id(const struct session *s)
{
	return json_get_text(s->attributes, "Id");
}

const char *session_owner(const struct session *s)
{
	return json_get_text(s->attributes, "Owner");
}

bool session_is(const struct session *s, const char *state)
{
	return strcmp(json_get_text(s->attributes, "State"), state) == 0;
}

bool session_is_console(const struct session *s)
{
	return strcmp(json_get_text(s->attributes, "Type"), "CONSOLE") == 0;
}

static void set_state(struct session *s, const char *state, const char *substate,
		      const char *reason)
{
	(void)json_object_del(s->attributes, "Substate");
	(void)json_object_del(s->attributes, "StateReason");
	json_set_text(s->attributes, "State", state);
	json_set_text(s->attributes, "Substate", substate);
	json_set_text(s->attributes, "StateReason", reason);
	agent_report_soon(s->agent);
}

static void rest(struct session *s)
{
	timer_free(s->timer);
	s->timer = NULL;
}

void session_set_ready(struct session *s)
{
	rest(s);
	set_state(s, "READY", NULL, NULL);
}

void session_end(struct session *s, const char *reason)
{
	rest(s);
	s->ended_ms = loop_now_ms(s->agent->fleet->loop);
	set_state(s, "DELETED", NULL, reason);
}

static void on_created(void *userdata)
{
	struct session *s = userdata;

	if (s->fail_reason)
		session_end(s, json_string_value(s->fail_reason));
	else
		session_set_ready(s);
}

static void on_deleted(void *userdata)
{
	struct session *s = userdata;
	AUTO(free_p) char *reason = NULL;

	if (json_get_text(s->attributes, "StateReason"))
		reason = strdup(json_get_text(s->attributes, "StateReason"));
	session_end(s, reason);
}

static int await(struct session *s, unsigned long long ms, timer_fn fn, struct error *err)
{
	struct timer *timer = timer_new(s->agent->fleet->loop, fn, s);

	if (!timer)
		return error_oom(err);
	rest(s);
	s->timer = timer;
	timer_start(timer, ms, 0);
	return 0;
}

int session_begin(struct session *s, unsigned long long ms, struct error *err)
{
	return await(s, ms, on_created, err);
}

int session_delete(struct session *s, const char *reason, struct error *err)
{
	if (await(s, SESSION_DELETE_MS, on_deleted, err) < 0)
		return -1;
	set_state(s, "DELETING", NULL, reason);
	return 0;
}

struct session *session_new(struct agent *agent, json_t *attributes, struct error *err)
{
	struct session *s = calloc(1, sizeof(*s));
	char created[TIME_SIZE];

	if (!s || !attributes) {
		free(s);
		json_decref(attributes);
		(void)error_oom(err);
		return NULL;
	}
	s->agent = agent;
	s->attributes = attributes;
	time_format(time_now_ms(), created);
	if (!json_get_text(attributes, "CreationTime"))
		json_set_text(attributes, "CreationTime", created);
	if (!json_object_get(attributes, "NumOfConnections"))
		(void)json_object_set_new(attributes, "NumOfConnections", json_integer(0));
	list_append(&agent->sessions, &s->link);
	set_state(s, "CREATING", "PENDING_PREPARATION", NULL);
	return s;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	list_remove(&s->link);
	timer_free(s->timer);
	json_decref(s->attributes);
	json_decref(s->permissions);
	json_decref(s->fail_reason);
	free(s);
}
