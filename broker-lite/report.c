/* What a report changes: the server's description, its sessions one by one, and those that it does
 * not have any more. */
#include "broker-lite/report.h"

#include <string.h>

#include "broker-lite/agent-list.h"
#include "broker-lite/shape.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

#define SERVER_ID_MAX_BYTES 512
/* Far more than a host has, and what the broker takes in one turn of its loop without a pause that
 * others would notice. Messages may be larger, for the sake of screenshots. */
#define REPORT_MAX_BYTES (16UL * 1024 * 1024)
#define REPORT_MAX_SESSIONS 50000

/* --- reading -----------------------------------------------------------------------------------
 */

static void set_time(json_t *attributes, const char *key, const char *fallback)
{
	const char *text = json_get_text(attributes, key);
	char formatted[TIME_SIZE];
	long long ms;

	if (text && time_parse(text, &ms)) {
		time_format(ms, formatted);
		json_set_text(attributes, key, formatted);
	} else if (fallback) {
		json_set_text(attributes, key, fallback);
	} else {
		(void)json_object_del(attributes, key);
	}
}

/* What every session must have, and nothing that is the broker's to say. */
static json_t *read_attributes(json_t *reported, const struct session *known)
{
	json_t *a = shape_copy(&shape_session, reported);
	const char *type = json_get_text(a, "Type");
	const char *created = known && known->state != DELETED
				      ? json_get_text(known->attributes, "CreationTime")
				      : NULL;
	char now[TIME_SIZE];

	if (!a)
		return NULL;
	time_format(time_now_ms(), now);
	(void)json_object_del(a, "State");
	(void)json_object_del(a, "Substate");
	(void)json_object_del(a, "StateReason");
	if (!json_get_text(a, "Name"))
		json_set_text(a, "Name", "");
	if (!json_get_text(a, "Owner"))
		json_set_text(a, "Owner", known ? session_owner(known) : "");
	if (!type || (strcmp(type, "CONSOLE") != 0 && strcmp(type, "VIRTUAL") != 0))
		json_set_text(a, "Type", "VIRTUAL");
	if (!json_object_get(a, "NumOfConnections"))
		(void)json_object_set_new(a, "NumOfConnections", json_integer(0));
	if (created)
		json_set_text(a, "CreationTime", created);
	set_time(a, "CreationTime", now);
	set_time(a, "LastDisconnectionTime", NULL);
	return a;
}

/* Whose fault it was that a session ended: our agents tell, others are taken to be at fault. */
static enum error_code read_fault(const json_t *reported)
{
	const char *code = json_get_text(reported, "FailureCode");

	return code ? error_from_wire_name(code) : ERR_SYSTEM;
}

static enum session_event read_state(const json_t *reported)
{
	static const struct {
		const char *name;
		enum session_event event;
	} states[] = {
		{"CREATING", REPORTED_CREATING},
		{"READY", REPORTED_READY},
		{"DELETING", REPORTED_DELETING},
		{"DELETED", GONE},
	};
	const char *name = json_get_text(reported, "State");

	for (size_t i = 0; name && i < ARRAY_SIZE(states); i++) {
		if (strcmp(states[i].name, name) == 0)
			return states[i].event;
	}
	return REPORTED_UNKNOWN;
}

/* What agents count; what is no count is 0. */
static unsigned long long read_count(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 && n < INT32_MAX ? (unsigned long long)n : 0;
}

/* --- sessions ----------------------------------------------------------------------------------
 */

/* A session of this id that is not on @server: waiting to be placed, on another host, or gone. */
static struct session *find_elsewhere(struct fleet *fleet, const char *id)
{
	struct session *session = session_list_find(&fleet->sessions, id, "");

	if (session || !is_uuid(id))
		return session;
	return session_list_find_any(&fleet->sessions, id);
}

static struct session *add_reported(struct fleet *fleet, struct server *server, const char *id,
				    json_t *reported, struct error *err)
{
	json_t *attributes = read_attributes(reported, NULL);
	struct session *session = session_new(id, attributes, err);

	if (!session)
		return NULL;
	session->owner = fleet;
	session->is_confirmed = true;
	session->state = DELETED; /* until the event of this report */
	session->is_hidden = true;
	if (session_list_add(&fleet->sessions, session, server, err) == 0)
		return session;
	session_free(session);
	return NULL;
}

/* The session that the report means, or NULL if it is none to be shown. */
static struct session *identify(struct fleet *fleet, struct server *server, const char *id,
				enum session_event event, json_t *reported, struct error *err)
{
	struct session *session = session_list_find(&fleet->sessions, id, server->id);
	struct session *elsewhere;

	if (session)
		return session;
	elsewhere = find_elsewhere(fleet, id);
	if (!elsewhere)
		return add_reported(fleet, server, id, reported, err);
	/* What became of an attempt that has been given up. */
	if (event == GONE)
		return NULL;
	if (!elsewhere->server || elsewhere->state == DELETED || elsewhere->server->is_lost) {
		creation_cancel(&fleet->creation, elsewhere);
		return session_list_bind(&fleet->sessions, elsewhere, server, err) < 0 ? NULL
										       : elsewhere;
	}
	log_warning("session %s is on server %s already: ended on %s", id, elsewhere->server->id,
		    server->id);
	fleet_send_delete(fleet, server, elsewhere);
	return NULL;
}

static void apply_gone(struct fleet *fleet, struct session *session, json_t *reported)
{
	const char *reason = json_get_text(reported, "StateReason");
	bool is_new = session->is_hidden && !session->is_stored && session->deleted_ms == 0;

	if (session->is_create_pending)
		return; /* of an attempt before this one */
	if (session->request && !session->is_delete_ordered) {
		creation_failed(&fleet->creation, session, read_fault(reported),
				reason ? reason : "The session ended while it was created");
		return;
	}
	if (session->state == DELETED && !is_new) {
		session->is_delete_ordered = false;
		return;
	}
	if (is_new)
		session->is_hidden = false;
	fleet_session_gone(fleet, session, reason);
}

/* While it is made, why it could not be made the last time is told until there is something newer. */
static void take_reason(struct session *session, const json_t *reported)
{
	const char *reason = json_get_text(reported, "StateReason");

	if (!session->is_overdue && (reason || session->state != CREATING || !session->request))
		session_set_reason(session, reason);
}

static void apply_alive(struct fleet *fleet, struct session *session, enum session_event event,
			json_t *reported)
{
	json_t *attributes = read_attributes(reported, session);
	enum session_state before = session->state;

	if (attributes)
		session_set_attributes(session, attributes);
	if (!session->is_create_pending || session->state != CREATING)
		session->is_hidden = false;
	session->is_confirmed = true;
	/* A host that clears up after it could not make one: nobody has ordered an end. */
	if (event == REPORTED_DELETING && session->request && !session->is_delete_ordered)
		event = REPORTED_CREATING;
	fleet_event(fleet, session, event);
	take_reason(session, reported);
	if (session->state == READY && session->request)
		creation_succeeded(&fleet->creation, session);
	if (before != session->state)
		log_event(LOG_LEVEL_INFO,
			  LOG_FIELDS(.request_id = session->request_id, .session = session->id,
				     .server = session->server->id,
				     .result = session_state_name(session->state)),
			  "session %s is %s (server=%s, owner=%s)", session->id,
			  session_state_name(session->state), session->server->id,
			  session_owner(session));
	if (before != session->state && session->is_stored)
		session_list_sync(&fleet->sessions, session);
	if (session->is_delete_ordered && !session->is_delete_pending && event != REPORTED_DELETING)
		fleet_send_delete(fleet, session->server, session);
}

/* It was given up while its host was away, which has it nevertheless. */
static void end_leftover(struct fleet *fleet, struct session *session)
{
	if (session->is_delete_pending)
		return;
	log_info("session %s was given up: ended on server %s", session->id, session->server->id);
	fleet_send_delete(fleet, session->server, session);
}

static int apply_session(struct fleet *fleet, struct server *server, json_t *reported,
			 struct error *err)
{
	const char *id = json_get_text(reported, "Id");
	enum session_event event = read_state(reported);
	struct session *session;

	if (!id || !*id || strlen(id) > SESSION_ID_MAX_BYTES)
		return error_set(err, ERR_INVALID, "report: a session without a usable Id");
	session = identify(fleet, server, id, event, reported, err);
	if (!session)
		return 0;
	session->report = fleet->n_reports;
	if (event == GONE)
		apply_gone(fleet, session, reported);
	else if (session->state == DELETED && session->is_delete_ordered)
		end_leftover(fleet, session);
	else
		apply_alive(fleet, session, event, reported);
	return 0;
}

/* The report is the whole truth about the host, and it does not have this one. */
static void apply_missing(struct fleet *fleet, struct session *session)
{
	if (session->is_create_pending)
		return; /* the report may have been on its way before our command */
	if (session->state == DELETED) {
		session->is_delete_ordered = false;
		if (session->is_hidden)
			session_list_forget(&fleet->sessions, session);
		return;
	}
	if (session->request && !session->is_delete_ordered) {
		if (session->is_confirmed)
			creation_failed(&fleet->creation, session, ERR_SYSTEM,
					"The session ended while it was created");
		else
			creation_place_again(&fleet->creation, session);
		return;
	}
	fleet_session_gone(fleet, session, NULL);
}

static int apply_sessions(struct fleet *fleet, struct server *server, const json_t *sessions,
			  struct error *err)
{
	fleet->n_reports++;
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		if (apply_session(fleet, server, json_array_get(sessions, i), err) < 0)
			return -1;
	}
	list_for_each_safe (session, &server->sessions, struct session, on_server) {
		if (session->report != fleet->n_reports)
			apply_missing(fleet, session);
	}
	return 0;
}

/* --- the server --------------------------------------------------------------------------------
 */

/* A server is the one whose agent first told of it. Who tells of it under another name has a copy of its
 * files, or has been told the id; unless the first one was unregistered or is long gone. */
static int check_owner(const struct server *server, const struct agent *agent, struct error *err)
{
	const struct client *owner = server->client;

	if (!owner || owner == agent->client || (!owner->is_active && !server->agent))
		return 0;
	return error_set(err, ERR_CONFLICT, "server %.80s belongs to agent %.40s (%s)", server->id,
			 owner->name, owner->id);
}

/* *ret_former: what the same agent told of before, if that was another. */
static int attach(struct fleet *fleet, struct server *server, struct agent *agent,
		  struct server **ret_former, struct error *err)
{
	struct client *client = agent->client;

	*ret_former = NULL;
	if (server->agent == agent)
		return 0;
	if (check_owner(server, agent, err) < 0)
		return -1;
	if (agent->server)
		fleet_link_lost(fleet, agent); /* it has a new identity */
	if (server->agent)
		server->agent->server = NULL;
	if (server->is_lost || !server->report)
		log_event(LOG_LEVEL_INFO, LOG_FIELDS(.server = server->id),
			  "server %s is connected (agent=%s)", server->id, agent_name(agent));
	server->agent = agent;
	server->client = client;
	agent->server = server;
	fleet_link_stands(server);
	if (!client || (client->server_id && strcmp(client->server_id, server->id) == 0))
		return 0;
	if (client->server_id)
		*ret_former = server_list_find(&fleet->servers, client->server_id);
	return client_set_server(fleet->clients, client, server->id, err);
}

static void set_boot_id(struct server *server, const char *text)
{
	(void)snprintf(server->boot_id, sizeof(server->boot_id), "%s",
		       text && strlen(text) < sizeof(server->boot_id) ? text : "");
}

int report_apply(struct fleet *fleet, struct agent *agent, const char *body, size_t len,
		 struct error *err)
{
	json_auto_t *report = NULL;
	json_t *host, *sessions;
	const char *id;
	struct server *server, *former = NULL;

	if (fleet->is_stopping)
		return error_set(err, ERR_UNAVAILABLE, "stopping");
	if (len > REPORT_MAX_BYTES)
		return error_set(err, ERR_TOO_LARGE, "report: larger than %lu bytes",
				 REPORT_MAX_BYTES);
	if (json_parse(body, len, &report, err) < 0)
		return error_prefix(err, "report");
	host = json_object_get(report, "Server");
	sessions = json_object_get(report, "Sessions");
	id = json_get_text(host, "Id");
	if (!id || !*id || strlen(id) > SERVER_ID_MAX_BYTES || !json_is_array(sessions))
		return error_set(err, ERR_INVALID,
				 "report: Server with an Id and Sessions are required");
	if (json_array_size(sessions) > REPORT_MAX_SESSIONS)
		return error_set(err, ERR_TOO_LARGE, "report: more than %d sessions",
				 REPORT_MAX_SESSIONS);
	server = server_list_obtain(&fleet->servers, id, err);
	if (!server || attach(fleet, server, agent, &former, err) < 0 ||
	    server_list_set_report(&fleet->servers, server, host, err) < 0)
		return -1;
	set_boot_id(server, json_get_text(report, "BootId"));
	server->n_leaked = read_count(report, "LeakedProcesses");
	/* First, because sessions are only taken over from a server that is lost. */
	if (former && !former->agent)
		fleet_server_lost(fleet, former);
	if (apply_sessions(fleet, server, sessions, err) < 0)
		return -1;
	if (former && !former->agent)
		fleet_server_replaced(fleet, former, server);
	creation_poke(&fleet->creation, server);
	return 0;
}
