#include "broker-lite/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "broker-lite/agent-list.h"
#include "broker-lite/config.h"
#include "broker-lite/shape.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

#define DELETE_REPLY_TIMEOUT_MS 30000
#define SERVER_ID_MAX_BYTES 512
/* Far more than a host has, and what the broker takes in one turn of its loop without a pause that
 * others would notice. Messages may be larger, for the sake of screenshots. */
#define REPORT_MAX_BYTES (16UL * 1024 * 1024)
#define REPORT_MAX_SESSIONS 50000

/* --- deadlines of sessions ---------------------------------------------------------------------
 */

static void expire(struct fleet *fleet, struct session *session)
{
	session->is_hidden = true;
	session_list_sync(&fleet->sessions, session);
	/* While its host still tells of it, it must not be taken for a new one. */
	if (!session->server || !session->server->agent)
		session_list_forget(&fleet->sessions, session);
}

static void on_session_timer(void *userdata)
{
	struct session *session = userdata;
	struct fleet *fleet = session->owner;

	if (session->state == DELETED) {
		expire(fleet, session);
	} else if (!list_is_empty(&session->waiting)) {
		fleet_session_gone(fleet, session,
				   session->reason ? session->reason
						   : "No dcv server became available in time");
	} else if (session->state == CREATING && session->is_confirmed) {
		fleet_send_delete(fleet, session->server, session);
		creation_failed(&fleet->creation, session, "The session did not become ready");
	}
}

void fleet_arm(struct fleet *fleet, struct session *session, unsigned long long ms)
{
	if (fleet->is_stopping)
		return;
	if (!session->timer)
		session->timer = timer_new(fleet->loop, on_session_timer, session);
	if (session->timer)
		timer_start(session->timer, ms, 0);
}

void fleet_session_gone(struct fleet *fleet, struct session *session, const char *reason)
{
	AUTO(free_p) char *kept = reason ? strdup(reason) : NULL; /* may be the session's own */

	creation_cancel(&fleet->creation, session);
	(void)session_event(session, GONE);
	session->is_delete_ordered = false;
	json_decref(TAKE(session->request));
	json_decref(TAKE(session->avoid));
	session_set_reason(session, kept);
	session->deleted_ms = time_now_ms();
	log_info("session %s deleted (owner=%s, reason=%s)", session->id, session_owner(session),
		 kept ? kept : "");
	if (session->is_hidden || fleet->config->deleted_visible_s == 0) {
		expire(fleet, session);
		return;
	}
	session_list_sync(&fleet->sessions, session);
	fleet_arm(fleet, session, (unsigned long long)fleet->config->deleted_visible_s * 1000);
	creation_poke(&fleet->creation);
}

/* --- ending sessions ---------------------------------------------------------------------------
 */

struct ordering {
	struct fleet *fleet;
	struct session *session;
};

static void on_delete_reply(const char *body, size_t len, const struct error *err, void *userdata)
{
	AUTO(free_p) struct ordering *ordering = userdata;
	struct session *session = ordering->session;

	(void)body;
	(void)len;
	session->is_delete_pending = false;
	if (err && !ordering->fleet->is_stopping)
		log_warning("session %s: the host did not take the order to end it: %s",
			    session->id, err->message);
	if (err && err->code == ERR_NOT_FOUND && session->is_delete_ordered &&
	    !ordering->fleet->is_stopping)
		fleet_session_gone(ordering->fleet, session, NULL);
	session_list_release(&ordering->fleet->sessions, session);
}

void fleet_send_delete(struct fleet *fleet, struct server *server, struct session *session)
{
	struct ordering *ordering = malloc(sizeof(*ordering));
	json_auto_t *body =
		json_pack("{s:s,s:s}", "SessionId", session->id, "Owner", session_owner(session));
	struct relay_command command = {
		.operation = OPERATION_delete_sessions,
		.context = json_pack("{s:s}", "SessionId", session->id),
		.body = body,
		.timeout_ms = DELETE_REPLY_TIMEOUT_MS,
		.fn = on_delete_reply,
		.userdata = ordering,
	};
	struct error err;

	if (!ordering || !body || !server) {
		json_decref(command.context);
		free(ordering);
		return;
	}
	*ordering = (struct ordering){fleet, session};
	if (relay_send(&fleet->relay, server->agent, &command, &err) < 0) {
		free(ordering); /* without a link: told again when it stands */
		return;
	}
	session->is_delete_pending = true;
	session->n_pending++;
}

/* --- lost links --------------------------------------------------------------------------------
 */

static void on_server_timer(void *userdata);

static void free_server_timer(struct server *server)
{
	timer_free(server->timer);
	server->timer = NULL;
}

static void arm_server(struct fleet *fleet, struct server *server, unsigned long long ms)
{
	if (fleet->is_stopping)
		return;
	if (!server->timer)
		server->timer = timer_new(fleet->loop, on_server_timer, server);
	server->owner = fleet;
	if (server->timer)
		timer_start(server->timer, ms, 0);
}

static void declare_lost(struct server *server)
{
	server->is_lost = true;
	server_touch(server);
	log_warning("server %s is unreachable", server->id);
	list_for_each_safe (session, &server->sessions, struct session, on_server) {
		if (session->state == DELETED || session->is_create_pending)
			continue;
		(void)session_event(session, LOST);
		session_set_reason(session, "The agent of the server is unreachable");
	}
}

static void forget_sessions(struct fleet *fleet, struct server *server, bool all)
{
	list_for_each_safe (session, &server->sessions, struct session, on_server) {
		if (session->state == DELETED)
			continue;
		/* A wish that nobody can fulfil any more, and an order that nobody can carry out.
		 */
		if (session->request || session->is_delete_ordered)
			fleet_session_gone(fleet, session, "The server did not come back");
		else if (all)
			session_list_forget(&fleet->sessions, session);
	}
}

static void unlist(struct fleet *fleet, struct server *server)
{
	if (server->report)
		log_info("server %s is no longer listed", server->id);
	json_decref(TAKE(server->report));
	server->reason = NULL;
	server->is_available = false;
	forget_sessions(fleet, server, false);
}

static void on_server_timer(void *userdata)
{
	struct server *server = userdata;
	struct fleet *fleet = server->owner;
	const struct broker_config *config = fleet->config;
	unsigned long long lost_ms = loop_now_ms(fleet->loop) - server->lost_since_ms;
	unsigned long long unlist_ms = (unsigned long long)config->unreachable_server_s * 1000;
	unsigned long long forget_ms = (unsigned long long)config->unreachable_sessions_s * 1000;
	bool forgets = config->unreachable_sessions_s >= 0;
	unsigned long long next_ms = 0;

	if (server->agent)
		return;
	if (!server->is_lost)
		declare_lost(server);
	if (lost_ms >= unlist_ms)
		unlist(fleet, server);
	else
		next_ms = unlist_ms;
	if (forgets && lost_ms >= forget_ms)
		forget_sessions(fleet, server, true);
	else if (forgets && (next_ms == 0 || forget_ms < next_ms))
		next_ms = forget_ms;
	if (next_ms > 0) {
		arm_server(fleet, server, next_ms - lost_ms + 1);
		return;
	}
	free_server_timer(server);
	if (!server->report && !server->is_closed && list_is_empty(&server->sessions))
		server_list_remove(&fleet->servers, server);
}

static void begin_loss(struct fleet *fleet, struct server *server)
{
	server->lost_since_ms = loop_now_ms(fleet->loop);
	server_touch(server);
	arm_server(fleet, server, RECONNECT_GRACE_MS);
}

void fleet_link_lost(struct fleet *fleet, struct agent *agent)
{
	struct server *server = TAKE(agent->server);

	if (!server || server->agent != agent)
		return;
	server->agent = NULL;
	begin_loss(fleet, server);
}

/* --- reports -----------------------------------------------------------------------------------
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
		{"UNKNOWN", LOST},
	};
	const char *name = json_get_text(reported, "State");

	for (size_t i = 0; name && i < ARRAY_SIZE(states); i++) {
		if (strcmp(states[i].name, name) == 0)
			return states[i].event;
	}
	return LOST;
}

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
		creation_failed(&fleet->creation, session,
				reason ? reason : "The session ended while it was created");
		return;
	}
	if (session->state == DELETED && !is_new)
		return;
	if (is_new)
		session->is_hidden = false;
	fleet_session_gone(fleet, session, reason);
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
	if (session_event(session, event) < 0 && event == LOST)
		session->state = UNKNOWN;
	session_set_reason(session, json_get_text(reported, "StateReason"));
	if (session->state == READY && session->request) {
		json_decref(TAKE(session->request));
		json_decref(TAKE(session->avoid));
	}
	if (before != session->state && session->state == READY && session->timer)
		timer_stop(session->timer);
	if (before != session->state)
		log_info("session %s is %s (server=%s, owner=%s)", session->id,
			 session_state_name(session->state), session->server->id,
			 session_owner(session));
	if (before != session->state && session->is_stored)
		session_list_sync(&fleet->sessions, session);
	if (session->is_delete_ordered && !session->is_delete_pending && event != REPORTED_DELETING)
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
		if (session->is_hidden)
			session_list_forget(&fleet->sessions, session);
		return;
	}
	if (session->request && !session->is_delete_ordered) {
		if (session->is_confirmed)
			creation_failed(&fleet->creation, session,
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

static int attach(struct fleet *fleet, struct server *server, struct agent *agent,
		  struct error *err)
{
	if (server->agent == agent)
		return 0;
	/* The same host under another agent's name is a copy of its files, unless the first one is
	 * gone. */
	if (server->agent && server->agent->client != agent->client)
		return error_set(err, ERR_CONFLICT, "server %.80s is connected as another client",
				 server->id);
	if (agent->server)
		fleet_link_lost(fleet, agent); /* it has a new identity */
	if (server->agent)
		server->agent->server = NULL;
	if (server->is_lost || !server->report)
		log_info("server %s is connected (agent=%s)", server->id, agent_name(agent));
	server->agent = agent;
	server->client = agent->client;
	server->is_lost = false;
	agent->server = server;
	free_server_timer(server);
	return 0;
}

int fleet_report(struct fleet *fleet, struct agent *agent, const char *body, size_t len,
		 struct error *err)
{
	json_auto_t *report = NULL;
	json_t *host, *sessions;
	const char *id;
	struct server *server;

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
	if (!server || attach(fleet, server, agent, err) < 0 ||
	    server_set_report(server, host, err) < 0 ||
	    apply_sessions(fleet, server, sessions, err) < 0)
		return -1;
	creation_poke(&fleet->creation);
	return 0;
}

/* --- the whole ---------------------------------------------------------------------------------
 */

static int restore(struct session *session, const char *server_id, void *userdata,
		   struct error *err)
{
	struct fleet *fleet = userdata;
	struct server *server = NULL;
	long long visible_ms;

	session->owner = fleet;
	if (server_id)
		server = server_list_obtain(&fleet->servers, server_id, err);
	if ((server_id && !server) ||
	    session_list_add(&fleet->sessions, session, server, err) < 0) {
		session_free(session);
		return -1;
	}
	if (session->state == DELETED) {
		visible_ms = session->deleted_ms + fleet->config->deleted_visible_s * 1000 -
			     time_now_ms();
		fleet_arm(fleet, session, visible_ms > 1 ? (unsigned long long)visible_ms : 1);
	} else if (!server) {
		creation_resume(&fleet->creation, session);
	}
	return 0;
}

int fleet_init(struct fleet *fleet, struct loop *loop, const struct broker_config *config,
	       struct store *store, struct error *err)
{
	*fleet = (struct fleet){.loop = loop, .config = config, .relay.loop = loop};
	server_list_init(&fleet->servers, store);
	session_list_init(&fleet->sessions, store);
	if (creation_init(&fleet->creation, fleet, err) < 0 ||
	    server_list_load(&fleet->servers, err) < 0 ||
	    session_list_load(&fleet->sessions, restore, fleet, err) < 0)
		return -1;
	for (size_t i = 0; i < fleet->servers.by_id.n; i++)
		begin_loss(fleet, fleet->servers.by_id.items[i]);
	return 0;
}

void fleet_stop(struct fleet *fleet)
{
	fleet->is_stopping = true;
	creation_stop(&fleet->creation);
	for (size_t i = 0; i < fleet->servers.by_id.n; i++)
		free_server_timer(fleet->servers.by_id.items[i]);
	for (size_t i = 0; i < fleet->sessions.by_id.n; i++) {
		struct session *session = fleet->sessions.by_id.items[i];

		timer_free(TAKE(session->timer));
	}
}

void fleet_done(struct fleet *fleet)
{
	session_list_done(&fleet->sessions);
	server_list_done(&fleet->servers);
}
