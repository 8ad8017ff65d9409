#include "tests/doubles/fleet/operation.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/number.h"
#include "common/text.h"
#include "tests/doubles/fleet/session.h"

static int packed(json_t *reply, json_t **ret, struct error *err)
{
	if (!reply)
		return error_oom(err);
	*ret = reply;
	return 0;
}

/* A session that lives. */
static struct session *find_alive(const struct agent *agent, const char *id)
{
	struct session *session = agent_find_session(agent, id);

	return session && !session_is(session, "DELETED") ? session : NULL;
}

static struct session *find_owned(const struct agent *agent, const char *id, const char *owner)
{
	struct session *session = find_alive(agent, id);

	return session && strcmp(session_owner(session), owner) == 0 ? session : NULL;
}

/* --- CreateSessions ----------------------------------------------------------------------------
 */

static int check_room(const struct agent *agent, const struct create_session_request *r,
		      struct error *err)
{
	struct agent_counts counts = agent_count(agent, r->owner);
	long long most = agent_tag_number(agent, "dcv:max-concurrent-sessions-per-user");

	if (agent->is_closed)
		return error_set(err, ERR_LIMIT, "this server is closed");
	if (agent_is_full(agent, &counts))
		return error_set(err, ERR_LIMIT, "no further session fits on this server");
	if (strcmp(r->type, "VIRTUAL") == 0 && most >= 0 && counts.n_owner >= most)
		return error_set(err, ERR_LIMIT, "%.100s has %lld sessions already", r->owner,
				 counts.n_owner);
	return 0;
}

static json_t *pack_created(const struct session *session)
{
	json_t *a = session->attributes;

	return json_pack("{s:O,s:O,s:O,s:O,s:O,s:O*}", "Id", json_object_get(a, "Id"), "Name",
			 json_object_get(a, "Name"), "Owner", json_object_get(a, "Owner"), "Type",
			 json_object_get(a, "Type"), "State", json_object_get(a, "State"),
			 "Substate", json_object_get(a, "Substate"));
}

static struct session *add_session(struct agent *agent, const struct create_session_request *r,
				   const char *id, const json_t *context, struct error *err)
{
	json_t *attributes = json_pack("{s:s,s:s,s:s,s:s,s:s*,s:s*}", "Id", id, "Name", r->name,
				       "Owner", r->owner, "Type", r->type, "CreationTime",
				       json_get_text(context, "CreationTime"), "StorageRoot",
				       r->storage_root);

	if (attributes && r->max_concurrent_clients > 0)
		(void)json_object_set_new(attributes, "MaxConcurrentClients",
					  json_integer(r->max_concurrent_clients));
	return session_new(agent, attributes, err);
}

static bool will_fail(struct behaviour *behaviour)
{
	if (behaviour->fail_creates > 0) {
		behaviour->fail_creates--;
		return true;
	}
	return behaviour->fail_creates == BEHAVIOUR_FAIL_ALWAYS;
}

static int create_session(struct agent *agent, const void *fields, const json_t *context,
			  json_t **ret, struct error *err)
{
	const struct create_session_request *r = fields;
	const char *id = json_get_text(context, "SessionId");
	long long attempt = json_integer_value(json_object_get(context, "Attempt"));
	struct session *session = id ? agent_find_session(agent, id) : NULL;

	if (!id || !id[0])
		return error_set(err, ERR_INVALID, "the context has no SessionId");
	if (session && (!session_is(session, "DELETED") || attempt <= session->attempt))
		return packed(pack_created(session), ret, err); /* the broker repeats itself */
	session_free(session);
	if (check_room(agent, r, err) < 0)
		return -1;
	session = add_session(agent, r, id, context, err);
	if (!session)
		return -1;
	session->attempt = attempt;
	if (r->permissions_file)
		session->permissions = json_string(r->permissions_file);
	if (will_fail(&agent->behaviour))
		session->fail_reason = json_incref(agent->behaviour.fail_reason);
	if (session_begin(session, agent->behaviour.create_ms, err) < 0) {
		session_free(session);
		return -1;
	}
	return packed(pack_created(session), ret, err);
}

/* --- the others --------------------------------------------------------------------------------
 */

static int delete_session(struct agent *agent, const void *fields, const json_t *context,
			  json_t **ret, struct error *err)
{
	const struct delete_session_request *r = fields;
	struct session *session = find_owned(agent, r->session_id, r->owner);

	(void)context;
	if (!session)
		return error_set(err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SESSION);
	if (!session_is(session, "DELETING") &&
	    session_delete(session, "deleted on request", err) < 0)
		return -1;
	return packed(json_pack("{s:s,s:s}", "SessionId", r->session_id, "State", "DELETING"), ret,
		      err);
}

static int update_permissions(struct agent *agent, const void *fields, const json_t *context,
			      json_t **ret, struct error *err)
{
	const struct update_session_permissions_request *r = fields;
	struct session *session = find_owned(agent, r->session_id, r->owner);
	AUTO(buf_done) struct buf file = {0};

	(void)context;
	if (!session)
		return error_set(err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SESSION);
	if (session_is(session, "DELETING"))
		return error_set(err, ERR_CONFLICT, "the session is DELETING");
	if (base64_decode(r->permissions_file, &file, err) < 0)
		return error_set(err, ERR_INVALID, FAILURE_BAD_PERMISSIONS);
	json_decref(session->permissions);
	session->permissions = json_string(r->permissions_file);
	return packed(json_pack("{s:s}", "SessionId", r->session_id), ret, err);
}

static int take_screenshot(struct agent *agent, const void *fields, const json_t *context,
			   json_t **ret, struct error *err)
{
	const struct get_session_screenshot_request *r = fields;
	struct session *session = find_alive(agent, r->session_id);
	json_t *picture = agent->behaviour.picture;
	char now[TIME_SIZE];

	(void)context;
	if (!session)
		return error_set(err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SESSION_SCREENSHOT);
	if (!session_is(session, "READY"))
		return error_set(err, ERR_CONFLICT, FAILURE_NOT_READY_SCREENSHOT);
	time_format(time_now_ms(), now);
	return packed(json_pack("{s:{s:s,s:[{s:O,s:s,s:b,s:O}]}}", "SessionScreenshot", "SessionId",
				r->session_id, "Images", "Format",
				json_object_get(picture, "Format"), "CreationTime", now, "Primary",
				1, "Data", json_object_get(picture, "Data")),
		      ret, err);
}

static int open_server(struct agent *agent, const void *fields, const json_t *context, json_t **ret,
		       struct error *err)
{
	const struct open_server_request *r = fields;

	(void)context;
	if (strcmp(r->server_id, agent->id) != 0)
		return error_set(err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SERVER);
	agent->is_closed = false;
	agent_report_soon(agent);
	return packed(json_pack("{s:s}", "ServerId", r->server_id), ret, err);
}

static int (*const runs[N_OPERATIONS])(struct agent *agent, const void *fields,
				       const json_t *context, json_t **ret, struct error *err) = {
	[OPERATION_create_sessions] = create_session,
	[OPERATION_delete_sessions] = delete_session,
	[OPERATION_update_session_permissions] = update_permissions,
	[OPERATION_get_session_screenshots] = take_screenshot,
	[OPERATION_open_servers] = open_server,
};

bool operation_is_known(const struct operation *op)
{
	return runs[op->id] != NULL;
}

bool operation_needs_context(const struct operation *op)
{
	return op->id == OPERATION_create_sessions;
}

int operation_carry_out(struct agent *agent, const struct operation *op,
			const union operation_fields *fields, const json_t *context, json_t **ret,
			struct error *err)
{
	return runs[op->id](agent, fields, context, ret, err);
}
