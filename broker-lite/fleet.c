#include "broker-lite/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "broker-lite/agent-list.h"
#include "broker-lite/audit-change.h"
#include "broker-lite/client-list.h"
#include "broker-lite/config.h"
#include "broker-lite/metrics.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

/* --- deadlines of sessions ---------------------------------------------------------------------
 */

static void expire(struct fleet *fleet, struct session *session)
{
	session->is_hidden = true;
	session->is_delete_ordered = false;
	session_list_sync(&fleet->sessions, session);
	/* While its host still tells of it, it must not be taken for a new one. */
	if (!session->server || !session->server->agent)
		session_list_forget(&fleet->sessions, session);
}

/* What is on its way has been so for too long. A creation of ours gets another chance elsewhere;
 * what else there is nobody can speed up, but it is not passed off as being on its way any more. */
static void end_patience(struct fleet *fleet, struct session *session)
{
	bool is_creating = session->state == CREATING;

	if (session->is_delete_ordered || (is_creating && session->request))
		fleet_send_delete(fleet, session->server, session);
	if (is_creating && session->request) {
		creation_failed(&fleet->creation, session, ERR_TIMEOUT,
				"The session did not become ready");
		return;
	}
	if (!session->is_overdue) {
		session->is_overdue = true;
		fleet_event(fleet, session, OVERDUE);
		session_set_reason(session, is_creating ? "The session did not become ready in time"
							: "The session did not end in time");
		log_warning("session %s: %s (server=%s)", session->id, session->reason,
			    session->server ? session->server->id : "");
	}
	fleet_arm(fleet, session, (unsigned long long)fleet->config->delete_deadline_s * 1000);
}

static void end_wait(struct fleet *fleet, struct session *session)
{
	metrics_count_refusal(fleet->metrics, REFUSAL_WAITED_TOO_LONG);
	fleet_session_gone(fleet, session,
			   session->reason ? session->reason
					   : "No dcv server became available in time");
}

static void on_session_timer(void *userdata)
{
	struct session *session = userdata;
	struct fleet *fleet = session->owner;

	if (session->state == DELETED)
		expire(fleet, session);
	else if (!list_is_empty(&session->waiting))
		end_wait(fleet, session);
	else if (session->state != READY)
		end_patience(fleet, session);
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

void fleet_watch(struct fleet *fleet, struct session *session)
{
	const struct broker_config *config = fleet->config;
	long long seconds = 0;

	if (session->state == CREATING && session->server)
		seconds = config->create_deadline_s;
	else if (session->state == DELETING)
		seconds = config->delete_deadline_s;
	if (seconds > 0)
		fleet_arm(fleet, session, (unsigned long long)seconds * 1000);
	else if (session->timer && (session->state == READY || session->state == UNKNOWN))
		timer_stop(session->timer);
}

void fleet_event(struct fleet *fleet, struct session *session, enum session_event event)
{
	enum session_state before = session->state;

	(void)session_event(session, event);
	if (session->state != before)
		fleet_watch(fleet, session);
}

void fleet_session_gone(struct fleet *fleet, struct session *session, const char *reason)
{
	AUTO(free_p) char *kept = reason ? strdup(reason) : NULL; /* may be the session's own */
	/* A host that is away may still be making it, and hears of the end when it is back. */
	bool is_unheard = session->request && session->server && !session->server->agent;

	creation_cancel(&fleet->creation, session);
	(void)session_event(session, GONE);
	session->is_delete_ordered = is_unheard;
	session_drop_request(session);
	session_set_reason(session, kept);
	session->deleted_ms = time_now_ms();
	log_event(LOG_LEVEL_INFO,
		  LOG_FIELDS(.request_id = session->request_id, .session = session->id,
			     .server = session->server ? session->server->id : NULL,
			     .result = "DELETED"),
		  "session %s deleted (owner=%s, reason=%s)", session->id, session_owner(session),
		  kept ? kept : "");
	audit_session(fleet, session, "SessionEnded", kept);
	if (session->is_hidden || fleet->config->deleted_visible_s == 0) {
		expire(fleet, session);
		return;
	}
	session_list_sync(&fleet->sessions, session);
	fleet_arm(fleet, session, (unsigned long long)fleet->config->deleted_visible_s * 1000);
	creation_poke(&fleet->creation, session->server);
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
	    session->state != DELETED && !ordering->fleet->is_stopping)
		fleet_session_gone(ordering->fleet, session, NULL);
	session_list_release(&ordering->fleet->sessions, session);
}

static int append_order(struct buf *body, const struct session *session, struct error *err)
{
	if (buf_append_text(body, "{\"SessionId\":", err) < 0 ||
	    json_append_string(body, session->id, err) < 0 ||
	    buf_append_text(body, ",\"Owner\":", err) < 0 ||
	    json_append_string(body, session_owner(session), err) < 0)
		return -1;
	return buf_append(body, "}", 1, err);
}

void fleet_send_delete(struct fleet *fleet, struct server *server, struct session *session)
{
	struct ordering *ordering = malloc(sizeof(*ordering));
	AUTO(buf_done) struct buf body = {0};
	struct relay_command command = {
		.operation = OPERATION_delete_sessions,
		.context.session_id = session->id,
		.fn = on_delete_reply,
		.userdata = ordering,
	};
	struct error err;

	if (!ordering || !server || append_order(&body, session, &err) < 0) {
		free(ordering);
		return;
	}
	command.body = body.data;
	command.body_len = body.len;
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

static void declare_lost(struct fleet *fleet, struct server *server)
{
	server->is_lost = true;
	server_touch(server);
	log_event(LOG_LEVEL_WARNING, LOG_FIELDS(.server = server->id), "server %s is unreachable",
		  server->id);
	list_for_each_safe (session, &server->sessions, struct session, on_server) {
		if (session->state == DELETED || session->is_create_pending)
			continue;
		fleet_event(fleet, session, LOST);
		if (!session->is_overdue)
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

/* Who has been silent for so long does not keep the id from others, and does not get it back from our
 * restart. */
static void disown(struct fleet *fleet, struct server *server)
{
	struct client *owner =
		server->client ? client_list_find(fleet->clients, CLIENT_AGENT, server->client->id)
			       : NULL;
	struct error err;

	server->client = NULL;
	if (owner && owner->server_id && strcmp(owner->server_id, server->id) == 0 &&
	    client_set_server(fleet->clients, owner, NULL, &err) < 0)
		log_error("agent %s: %s", owner->name, err.message);
}

static void unlist(struct fleet *fleet, struct server *server)
{
	if (server->report)
		log_event(LOG_LEVEL_INFO, LOG_FIELDS(.server = server->id),
			  "server %s is no longer listed", server->id);
	server_list_unlist(&fleet->servers, server);
	disown(fleet, server);
	forget_sessions(fleet, server, false);
}

static void remove_if_empty(struct fleet *fleet, struct server *server)
{
	free_server_timer(server);
	if (!server->report && !server->is_closed && list_is_empty(&server->sessions))
		server_list_remove(&fleet->servers, server);
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
		declare_lost(fleet, server);
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
	remove_if_empty(fleet, server);
}

static void begin_loss(struct fleet *fleet, struct server *server)
{
	server->lost_since_ms = loop_now_ms(fleet->loop);
	server_touch(server);
	arm_server(fleet, server, RECONNECT_GRACE_MS);
}

void fleet_link_stands(struct server *server)
{
	server->is_lost = false;
	free_server_timer(server);
}

void fleet_link_lost(struct fleet *fleet, struct agent *agent)
{
	struct server *server = TAKE(agent->server);

	if (!server || server->agent != agent)
		return;
	server->agent = NULL;
	begin_loss(fleet, server);
}

void fleet_server_lost(struct fleet *fleet, struct server *server)
{
	if (!server->is_lost)
		declare_lost(fleet, server);
}

void fleet_server_replaced(struct fleet *fleet, struct server *server,
			   const struct server *successor)
{
	list_for_each_safe (session, &server->sessions, struct session, on_server) {
		if (session_list_find(&fleet->sessions, session->id, successor->id))
			session_list_forget(&fleet->sessions, session);
	}
	if (!list_is_empty(&server->sessions))
		return; /* its timer sees to the rest */
	unlist(fleet, server);
	remove_if_empty(fleet, server);
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
	} else {
		fleet_watch(fleet, session);
	}
	return 0;
}

/* An agent that is away at the moment keeps its server's id from others, also over our restart; but not
 * where nobody is asked who it is. */
static int restore_owners(struct fleet *fleet, struct error *err)
{
	bool is_asked = fleet->config->enable_agent_authorization;

	for (size_t i = 0; is_asked && i < fleet->clients->by_id.n; i++) {
		const struct client *client = fleet->clients->by_id.items[i];
		struct server *server;

		if (!client->is_active || !client->server_id)
			continue;
		server = server_list_obtain(&fleet->servers, client->server_id, err);
		if (!server)
			return -1;
		server->client = client;
	}
	return 0;
}

int fleet_init(struct fleet *fleet, const struct fleet_parts *parts, struct error *err)
{
	*fleet = (struct fleet){
		.loop = parts->loop,
		.config = parts->config,
		.clients = parts->clients,
		.audit = parts->audit,
		.metrics = parts->metrics,
	};
	server_list_init(&fleet->servers, parts->store);
	session_list_init(&fleet->sessions, parts->store);
	if (relay_init(&fleet->relay, parts->loop, err) < 0 ||
	    creation_init(&fleet->creation, fleet, err) < 0 ||
	    server_list_load(&fleet->servers, err) < 0 || restore_owners(fleet, err) < 0 ||
	    session_list_load(&fleet->sessions, restore, fleet, err) < 0)
		return -1;
	for (size_t i = 0; i < fleet->servers.by_id.n; i++)
		begin_loss(fleet, fleet->servers.by_id.items[i]);
	return 0;
}

void fleet_stop(struct fleet *fleet)
{
	fleet->is_stopping = true;
	relay_stop(&fleet->relay);
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
