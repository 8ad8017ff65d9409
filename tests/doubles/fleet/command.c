#include "tests/doubles/fleet/command.h"

#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/params.h"
#include "tests/doubles/fleet/session.h"

/* What any command may have; which ones a command takes is in the table at the end. */
struct command {
	const char *name, *server, *session, *reason;
	const json_t *set, *added;
	struct agent *first; /* the agents that `server` means */
	size_t n_agents;
};

/* --- list --------------------------------------------------------------------------------------
 */

static json_t *pack_received(const struct agent *agent)
{
	json_t *object = json_object();

	for (size_t i = 0; i < N_OPERATIONS; i++) {
		if (agent->n_received[i] > 0)
			(void)json_object_set_new(object, operations[i].name,
						  json_integer((json_int_t)agent->n_received[i]));
	}
	return object;
}

static json_t *pack_sessions(const struct agent *agent)
{
	json_t *array = json_array();

	list_for_each (session, &agent->sessions, struct session, link) {
		json_t *object = json_copy(session->attributes);

		if (session->permissions)
			(void)json_object_set(object, "PermissionsFile", session->permissions);
		(void)json_array_append_new(array, object);
	}
	return array;
}

static int run_list(const struct command *c, json_t **ret, struct error *err)
{
	json_t *servers = json_array();

	for (size_t i = 0; i < c->n_agents; i++) {
		const struct agent *agent = &c->first[i];

		(void)json_array_append_new(
			servers,
			json_pack("{s:s,s:b,s:I,s:I,s:o,s:o}", "Id", agent->id, "linked",
				  agent->ws != NULL, "links", (json_int_t)agent->n_links,
				  "acknowledged", (json_int_t)agent->n_acknowledged, "sessions",
				  pack_sessions(agent), "received", pack_received(agent)));
	}
	*ret = json_pack("{s:o}", "servers", servers);
	return *ret ? 0 : error_oom(err);
}

/* --- the agents --------------------------------------------------------------------------------
 */

static int done(size_t n, json_t **ret, struct error *err)
{
	*ret = json_pack("{s:I}", "servers", (json_int_t)n);
	return *ret ? 0 : error_oom(err);
}

static int run_behaviour(const struct command *c, json_t **ret, struct error *err)
{
	/* What is wrong is so for the first already. */
	for (size_t i = 0; i < c->n_agents; i++) {
		if (agent_set_behaviour(&c->first[i], c->set, err) < 0)
			return error_prefix(err, "set");
	}
	return done(c->n_agents, ret, err);
}

static int run_drop(const struct command *c, json_t **ret, struct error *err)
{
	for (size_t i = 0; i < c->n_agents; i++)
		agent_drop(&c->first[i]);
	return done(c->n_agents, ret, err);
}

static int run_disconnect(const struct command *c, json_t **ret, struct error *err)
{
	for (size_t i = 0; i < c->n_agents; i++)
		agent_stay_away(&c->first[i]);
	return done(c->n_agents, ret, err);
}

static int run_connect(const struct command *c, json_t **ret, struct error *err)
{
	for (size_t i = 0; i < c->n_agents; i++)
		agent_come_back(&c->first[i]);
	return done(c->n_agents, ret, err);
}

/* --- sessions ----------------------------------------------------------------------------------
 */

static int run_end(const struct command *c, json_t **ret, struct error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_agents; i++) {
		struct session *session = agent_find_session(&c->first[i], c->session);

		if (!session || session_is(session, "DELETED"))
			continue;
		session_end(session, c->reason);
		n++;
	}
	if (n == 0)
		return error_set(err, ERR_NOT_FOUND, "no living session '%.200s'", c->session);
	return done(n, ret, err);
}

struct added {
	const char *id, *name, *owner, *type;
};

static const char *const types[] = {"CONSOLE", "VIRTUAL", NULL};
static const struct param added_fields[] = {
	{.name = "Id",
	 .type = PARAM_STRING,
	 .required = true,
	 .offset = offsetof(struct added, id)},
	{.name = "Name",
	 .type = PARAM_STRING,
	 .required = true,
	 .offset = offsetof(struct added, name)},
	{.name = "Owner",
	 .type = PARAM_STRING,
	 .required = true,
	 .offset = offsetof(struct added, owner)},
	{.name = "Type",
	 .type = PARAM_CHOICE,
	 .required = true,
	 .choices = types,
	 .offset = offsetof(struct added, type)},
};
static const struct param_table added_params = {added_fields, ARRAY_SIZE(added_fields),
						sizeof(struct added)};

static int run_add(const struct command *c, json_t **ret, struct error *err)
{
	struct session *session;
	struct added added;

	if (strcmp(c->server, "*") == 0)
		return error_set(err, ERR_INVALID, "server must be one for a session");
	if (params_read(&added_params, c->added, &added, err) < 0)
		return error_prefix(err, "session");
	session = agent_find_session(c->first, added.id);
	if (session && !session_is(session, "DELETED"))
		return error_set(err, ERR_CONFLICT, "session '%.200s' is there already", added.id);
	session_free(session);
	session = session_new(c->first,
			      json_pack("{s:s,s:s,s:s,s:s}", "Id", added.id, "Name", added.name,
					"Owner", added.owner, "Type", added.type),
			      err);
	if (!session)
		return -1;
	session_set_ready(session);
	return done(1, ret, err);
}

/* --- reading -----------------------------------------------------------------------------------
 */

enum need { REFUSED, OPTIONAL, REQUIRED };

static const struct {
	const char *name;
	enum need server, session, reason, set;
	bool has_session_object;
	int (*run)(const struct command *c, json_t **ret, struct error *err);
} commands[] = {
	{"list", OPTIONAL, REFUSED, REFUSED, REFUSED, false, run_list},
	{"behaviour", REQUIRED, REFUSED, REFUSED, REQUIRED, false, run_behaviour},
	{"drop", REQUIRED, REFUSED, REFUSED, REFUSED, false, run_drop},
	{"disconnect", REQUIRED, REFUSED, REFUSED, REFUSED, false, run_disconnect},
	{"connect", REQUIRED, REFUSED, REFUSED, REFUSED, false, run_connect},
	{"end", OPTIONAL, REQUIRED, OPTIONAL, REFUSED, false, run_end},
	{"add", REQUIRED, REQUIRED, REFUSED, REFUSED, true, run_add},
};

/* Take the member @key out of @object, the rest of which is what nobody asked for. */
static int take(json_t *object, const char *key, enum need need, json_type type, const json_t **ret,
		struct error *err)
{
	const json_t *value = json_object_get(object, key);

	*ret = value;
	if (!value)
		return need == REQUIRED ? error_set(err, ERR_INVALID, "%s is missing", key) : 0;
	if (need == REFUSED)
		return 0; /* told as unknown */
	if (json_typeof(value) != type)
		return error_set(err, ERR_INVALID, "%s must be %s", key,
				 type == JSON_STRING ? "a string" : "an object");
	return json_object_del(object, key); /* the command itself still holds it */
}

static int find_agents(const struct fleet *fleet, struct command *c, struct error *err)
{
	c->first = fleet->agents;
	c->n_agents = fleet->n_agents;
	if (!c->server || strcmp(c->server, "*") == 0)
		return 0;
	c->first = fleet_find(fleet, c->server);
	c->n_agents = 1;
	if (!c->first)
		return error_set(err, ERR_NOT_FOUND, "no server '%.200s'", c->server);
	return 0;
}

static int run(struct fleet *fleet, size_t which, json_t *rest, json_t **ret, struct error *err)
{
	const json_t *server, *session, *reason, *set;
	struct command c = {0};
	json_type type = commands[which].has_session_object ? JSON_OBJECT : JSON_STRING;

	if (take(rest, "server", commands[which].server, JSON_STRING, &server, err) < 0 ||
	    take(rest, "session", commands[which].session, type, &session, err) < 0 ||
	    take(rest, "reason", commands[which].reason, JSON_STRING, &reason, err) < 0 ||
	    take(rest, "set", commands[which].set, JSON_OBJECT, &set, err) < 0)
		return -1;
	if (json_object_size(rest) > 0)
		return error_set(err, ERR_INVALID, "unknown field '%.100s'",
				 json_object_iter_key(json_object_iter(rest)));
	c.server = json_string_value(server);
	c.session = json_string_value(session);
	c.reason = json_string_value(reason);
	c.set = set;
	c.added = session;
	if (find_agents(fleet, &c, err) < 0)
		return -1;
	return commands[which].run(&c, ret, err);
}

int command_run(struct fleet *fleet, const json_t *command, json_t **ret, struct error *err)
{
	json_auto_t *rest = json_copy((json_t *)command);
	const char *name = json_get_text(command, "command");

	if (!json_is_object(command))
		return error_set(err, ERR_INVALID, "a command is an object");
	if (!name)
		return error_set(err, ERR_INVALID, "command is missing, or no string");
	(void)json_object_del(rest, "command");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (run(fleet, i, rest, ret, err) < 0)
			return error_prefix(err, "%s", name);
		return 0;
	}
	return error_set(err, ERR_INVALID, "unknown command '%.100s'", name);
}
