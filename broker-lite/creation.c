#include "broker-lite/creation.h"

#include <stdlib.h>
#include <string.h>

#include "broker-lite/audit-change.h"
#include "broker-lite/config.h"
#include "broker-lite/fleet.h"
#include "broker-lite/metrics.h"
#include "broker-lite/placement.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/log.h"
#include "common/requests.h"

#define POKE_MS 10
/* After our restart the agents need a while to come back; until then nothing is out of servers. */
#define RETURN_OF_AGENTS_MS 60000

struct accepting {
	struct creation *creation;
	struct session *session;
	struct answer *answer; /* NULL: not the first placement */
};

static void send_create(struct creation *creation, struct session *session);
static bool place_waiting(struct creation *creation, struct session *session, struct list *among);
static void look_at_queue(void *userdata);

int creation_init(struct creation *creation, struct fleet *fleet, struct error *err)
{
	*creation = (struct creation){.fleet = fleet, .started_ms = loop_now_ms(fleet->loop)};
	list_init(&creation->waiting);
	list_init(&creation->changed);
	creation->timer = timer_new(fleet->loop, look_at_queue, creation);
	return creation->timer ? 0 : error_oom(err);
}

void creation_stop(struct creation *creation)
{
	timer_free(creation->timer);
	creation->timer = NULL;
}

/* --- choosing a server -------------------------------------------------------------------------
 */

/* @among: as for placement_choose(). */
static int choose(struct creation *creation, struct session *session, struct list *among,
		  struct server **ret, struct error *err)
{
	struct fleet *fleet = creation->fleet;

	if (!session->wish && placement_wish_new(session->request, &session->wish, err) < 0)
		return -1;
	return placement_choose(&fleet->servers, among, session->wish, session->avoid,
				loop_now_ms(fleet->loop), ret, err);
}

/* Accepted before the broker was started. */
static bool is_restored(const struct session *session)
{
	return session->request_id[0] == '\0';
}

static bool wants_queue(const struct session *session)
{
	return json_is_true(json_object_get(session->request, "EnqueueRequest"));
}

/* One that comes back from a host, or out of the store, takes the place that it had. */
static void wait_for_server(struct creation *creation, struct session *session, long long ms)
{
	struct list *before = creation->waiting.prev;

	while (before != &creation->waiting &&
	       list_entry(before, struct session, waiting)->order > session->order)
		before = before->prev;
	list_append(before->next, &session->waiting);
	creation->n_waiting++;
	fleet_arm(creation->fleet, session, ms > 1 ? (unsigned long long)ms : 1);
}

static long long queue_time_left_ms(const struct creation *creation, const struct session *session)
{
	return session->accepted_ms + creation->fleet->config->queue_max_time_s * 1000 -
	       time_now_ms();
}

void creation_cancel(struct creation *creation, struct session *session)
{
	if (list_is_empty(&session->waiting))
		return;
	list_remove(&session->waiting);
	creation->n_waiting--;
}

/* --- what is counted ---------------------------------------------------------------------------
 */

static double seconds_since(uint64_t ns)
{
	return (double)(uv_hrtime() - ns) / 1e9;
}

static void count_placed(const struct creation *creation, struct session *session)
{
	if (session->placed_ns == 0 && session->accepted_ns > 0)
		metrics_count_phase(creation->fleet->metrics, PHASE_QUEUED,
				    seconds_since(session->accepted_ns));
	session->placed_ns = uv_hrtime();
}

static void count_refusal(const struct creation *creation, const struct session *session)
{
	struct fleet *fleet = creation->fleet;
	enum placement_obstacle obstacle = placement_nearest_obstacle(
		&fleet->servers, session->wish, loop_now_ms(fleet->loop));

	metrics_count_refusal(fleet->metrics, (enum placement_refusal)obstacle);
}

/* --- accepting ---------------------------------------------------------------------------------
 */

static void answer_accepted(const struct session *session, struct answer *answer)
{
	const json_t *a = session->attributes;

	answer_succeed_json(answer,
			    json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "Id", session->id, "Name",
				      json_get_text(a, "Name"), "Owner", json_get_text(a, "Owner"),
				      "Type", json_get_text(a, "Type"), "State", "CREATING",
				      "Substate", "SESSION_PLACING"));
}

static void tell_accepted(const struct session *session)
{
	log_event(LOG_LEVEL_INFO,
		  LOG_FIELDS(.request_id = session->request_id, .session = session->id,
			     .server = session->server ? session->server->id : NULL,
			     .result = "CREATING"),
		  "session %s accepted (request=%s, owner=%s, type=%s, server=%s)", session->id,
		  session->request_id, session_owner(session),
		  session->is_console ? "CONSOLE" : "VIRTUAL",
		  session->server ? session->server->id : "none yet");
}

/* The record is committed: from here on the session exists. */
static void on_stored(const struct error *err, void *userdata)
{
	AUTO(free_p) struct accepting *accepting = userdata;
	struct creation *creation = accepting->creation;
	struct session *session = accepting->session;
	struct fleet *fleet = creation->fleet;

	if (err && accepting->answer) {
		answer_fail(accepting->answer, err);
		creation_cancel(creation, session);
		session->is_create_pending = false;
		session_list_forget(&fleet->sessions, session);
	} else {
		/* A later placement that could not be stored goes on: after a restart the host's
		 * report puts it right. It may have been deleted meanwhile and hidden for good. */
		if (accepting->answer) {
			session->is_hidden = false;
			tell_accepted(session);
			answer_accepted(session, accepting->answer);
		}
		if (session->server)
			send_create(creation, session);
		else if (!list_is_empty(&session->waiting))
			place_waiting(creation, session, NULL); /* what changed meanwhile */
	}
	session_list_release(&fleet->sessions, session);
}

static int store_placement(struct creation *creation, struct session *session,
			   struct answer *answer, struct error *err)
{
	struct accepting *accepting = malloc(sizeof(*accepting));

	if (!accepting)
		return error_oom(err);
	*accepting = (struct accepting){creation, session, answer};
	session->n_pending++;
	if (session_list_put(&creation->fleet->sessions, session, on_stored, accepting, err) == 0)
		return 0;
	session->n_pending--;
	free(accepting);
	return -1;
}

static json_t *make_attributes(const char *id, const struct create_session_request *request)
{
	char created[TIME_SIZE];
	json_t *attributes;

	time_format(time_now_ms(), created);
	attributes = json_pack("{s:s,s:s,s:s,s:s,s:s,s:i}", "Id", id, "Name", request->name,
			       "Owner", request->owner, "Type", request->type, "CreationTime",
			       created, "NumOfConnections", 0);
	if (request->max_concurrent_clients > 0)
		(void)json_object_set_new(attributes, "MaxConcurrentClients",
					  json_integer(request->max_concurrent_clients));
	json_set_text(attributes, "StorageRoot", request->storage_root);
	return attributes;
}

static struct session *make_session(struct creation *creation,
				    const struct create_session_request *request,
				    struct answer *answer, struct error *err)
{
	json_t *body = answer_asked_json(answer, err);
	struct session *session;
	char id[UUID_SIZE];

	if (!body)
		return NULL;
	uuid_make(id);
	session = session_new(id, make_attributes(id, request), err);
	if (!session)
		return NULL;
	session->request = json_incref(body);
	session->owner = creation->fleet;
	session->order = ++creation->last_order;
	session->accepted_ns = uv_hrtime();
	session->is_hidden = true; /* until it is committed */
	(void)strcpy(session->request_id, answer_request_id(answer));
	return session;
}

/* From here on @session is the list's. */
static int accept_session(struct creation *creation, struct session *session, struct server *server,
			  struct answer *answer, struct error *err)
{
	struct fleet *fleet = creation->fleet;

	session->is_create_pending = server != NULL;
	if (server)
		count_placed(creation, session);
	if (session_list_add(&fleet->sessions, session, server, err) < 0) {
		session_free(session);
		return -1;
	}
	if (!server)
		wait_for_server(creation, session, queue_time_left_ms(creation, session));
	if (store_placement(creation, session, answer, err) == 0)
		return 0;
	creation_cancel(creation, session);
	session_list_forget(&fleet->sessions, session);
	return -1;
}

static int begin(struct creation *creation, const struct create_session_request *request,
		 struct answer *answer, struct error *err)
{
	const struct broker_config *config = creation->fleet->config;
	struct server *server = NULL;
	struct session *session;

	if (create_session_check(request, config->autorun_arguments_max,
				 config->autorun_argument_max_length, err) < 0)
		return -1;
	session = make_session(creation, request, answer, err);
	if (!session)
		return -1;
	if (choose(creation, session, NULL, &server, err) < 0) {
		session_free(session);
		return -1;
	}
	if (server ||
	    (request->enqueue_request && creation->n_waiting < (size_t)config->queue_max_size))
		return accept_session(creation, session, server, answer, err);
	if (request->enqueue_request)
		metrics_count_refusal(creation->fleet->metrics, REFUSAL_QUEUE_FULL);
	else
		count_refusal(creation, session);
	session_free(session);
	return error_set(err, ERR_LIMIT, "%s",
			 request->enqueue_request ? "The create sessions queue is full"
						  : FAILURE_NO_PLACE);
}

void creation_begin(struct creation *creation, const struct create_session_request *request,
		    struct answer *answer)
{
	struct error err = {0};

	if (begin(creation, request, answer, &err) < 0)
		answer_fail(answer, &err);
}

/* --- at the host -------------------------------------------------------------------------------
 */

static void on_refused(struct creation *creation, struct session *session, const struct error *err)
{
	switch (err->code) {
	case ERR_LIMIT:
		/* It is full, whatever we thought: no failure of the session. */
		if (session->server)
			session->server->has_refused = true;
		creation_place_again(creation, session);
		break;
	case ERR_UNREACHABLE:
		/* It may or may not have the session: its next report tells. */
		fleet_watch(creation->fleet, session);
		break;
	case ERR_TIMEOUT:
		/* Should it wake up later, it is to take the session away again. */
		fleet_send_delete(creation->fleet, session->server, session);
		creation_failed(creation, session, err->code, err->message);
		break;
	default:
		creation_failed(creation, session, err->code, err->message);
	}
}

static void on_reply(const char *body, size_t len, const struct error *err, void *userdata)
{
	AUTO(free_p) struct accepting *accepting = userdata;
	struct creation *creation = accepting->creation;
	struct session *session = accepting->session;

	(void)body;
	(void)len;
	session->is_create_pending = false;
	if (creation->fleet->is_stopping) {
		/* the store has what the next start needs */
	} else if (err) {
		log_event(LOG_LEVEL_WARNING,
			  LOG_FIELDS(.request_id = session->request_id, .session = session->id,
				     .server = session->server ? session->server->id : NULL,
				     .result = error_wire_name(err->code)),
			  "session %s: server %s did not create it: %s", session->id,
			  session->server ? session->server->id : "?", err->message);
		on_refused(creation, session, err);
	} else {
		session->is_confirmed = true;
		metrics_count_phase(creation->fleet->metrics, PHASE_PLACED,
				    seconds_since(session->placed_ns));
		buf_done(&session->text);
		if (session->is_delete_ordered)
			fleet_send_delete(creation->fleet, session->server, session);
		else
			fleet_watch(creation->fleet, session);
	}
	session_list_release(&creation->fleet->sessions, session);
}

static void send_create(struct creation *creation, struct session *session)
{
	struct accepting *accepting = malloc(sizeof(*accepting));
	AUTO(buf_done) struct buf body = {0};
	struct relay_command command = {
		.operation = OPERATION_create_sessions,
		.context = {.session_id = session->id,
			    .creation_time = json_get_text(session->attributes, "CreationTime"),
			    .request_id = session->request_id,
			    .attempt = (long long)session->n_failures + 1},
		.fn = on_reply,
		.userdata = accepting,
	};
	struct error err = {0};

	if (session->is_delete_ordered || !session->request) {
		/* deleted before it was begun */
		free(accepting);
		session->is_create_pending = false;
		if (session->state != DELETED)
			fleet_session_gone(creation->fleet, session, NULL);
		return;
	}
	if (accepting)
		*accepting = (struct accepting){creation, session, NULL};
	session->n_pending++;
	if (json_append(&body, session->request, &err) == 0) {
		command.body = body.data;
		command.body_len = body.len;
	}
	if (relay_send(&creation->fleet->relay,
		       accepting && command.body ? session->server->agent : NULL, &command,
		       &err) == 0)
		return;
	free(accepting);
	session->n_pending--;
	session->is_create_pending = false;
	if (creation->fleet->is_stopping)
		return;
	/* Nothing has left, so it may go to another host at once, and to this one when it has
	 * reported again: while a link closes it is still there, and would be chosen for ever. */
	if (err.code != ERR_TOO_LARGE)
		err.code = ERR_LIMIT;
	on_refused(creation, session, &err);
}

/* --- again -------------------------------------------------------------------------------------
 */

/* Take @session to @server, which is counted there from now on. */
static void take_to(struct creation *creation, struct session *session, struct server *server)
{
	struct error err;

	(void)session_list_bind(&creation->fleet->sessions, session, server, &err);
	session->is_create_pending = true;
	count_placed(creation, session);
	if (store_placement(creation, session, NULL, &err) < 0)
		send_create(creation, session);
}

static void give_up(struct creation *creation, struct session *session)
{
	count_refusal(creation, session);
	fleet_session_gone(creation->fleet, session,
			   session->reason ? session->reason : FAILURE_NO_PLACE);
}

static void place(struct creation *creation, struct session *session)
{
	struct fleet *fleet = creation->fleet;
	long long waited_ms = (long long)(loop_now_ms(fleet->loop) - creation->started_ms);
	struct server *server = NULL;
	struct error err = {0};

	if (choose(creation, session, NULL, &server, &err) < 0)
		fleet_session_gone(fleet, session, err.message);
	else if (server)
		take_to(creation, session, server);
	else if (wants_queue(session) && queue_time_left_ms(creation, session) > 0)
		wait_for_server(creation, session, queue_time_left_ms(creation, session));
	else if (is_restored(session) && waited_ms < RETURN_OF_AGENTS_MS)
		wait_for_server(creation, session, RETURN_OF_AGENTS_MS - waited_ms);
	else
		give_up(creation, session);
}

void creation_place_again(struct creation *creation, struct session *session)
{
	struct fleet *fleet = creation->fleet;
	struct error err;

	if (session->is_delete_ordered) {
		fleet_session_gone(fleet, session, NULL);
		return;
	}
	session->is_confirmed = false;
	(void)session_event(session, PLACED_AGAIN);
	if (session->timer)
		timer_stop(session->timer); /* of the attempt that is over */
	(void)session_list_bind(&fleet->sessions, session, NULL, &err);
	place(creation, session);
}

static void hold_against(const struct creation *creation, struct server *server, const char *reason)
{
	unsigned long long now_ms = loop_now_ms(creation->fleet->loop);

	if (!setback_fail(&server->setback, now_ms,
			  (unsigned long long)creation->fleet->config->server_set_back_s * 1000))
		return;
	log_warning("server %s is set back for %llu s (failures=%u, last=%s)", server->id,
		    (setback_left_ms(&server->setback, now_ms) + 999) / 1000,
		    server->setback.n_failures, reason);
}

static bool may_retry(const struct creation *creation, const struct session *session,
		      enum error_code code)
{
	return !session->is_delete_ordered && code != ERR_INVALID && code != ERR_TOO_LARGE &&
	       !json_is_true(json_object_get(session->request, "DisableRetryOnFailure")) &&
	       session->n_failures <= creation->fleet->config->create_retries;
}

void creation_failed(struct creation *creation, struct session *session, enum error_code code,
		     const char *reason)
{
	session_set_reason(session, reason);
	session->n_failures++;
	if (session->server && !error_blames_request(code))
		hold_against(creation, session->server, reason);
	if (!may_retry(creation, session, code)) {
		fleet_session_gone(creation->fleet, session, reason);
		return;
	}
	if (!session->avoid)
		session->avoid = json_array();
	if (session->server)
		(void)json_array_append_new(session->avoid, json_string(session->server->id));
	log_event(LOG_LEVEL_INFO,
		  LOG_FIELDS(.request_id = session->request_id, .session = session->id),
		  "session %s is placed again (failures=%u, reason=%s)", session->id,
		  session->n_failures, reason);
	creation_place_again(creation, session);
}

void creation_succeeded(struct creation *creation, struct session *session)
{
	session_drop_request(session);
	if (session->accepted_ns > 0)
		metrics_count_phase(creation->fleet->metrics, PHASE_READY,
				    seconds_since(session->accepted_ns));
	audit_session(creation->fleet, session, "SessionReady", NULL);
	if (!setback_succeed(&session->server->setback))
		return;
	log_info("server %s is set back no longer (session=%s)", session->server->id, session->id);
	creation_poke(creation, session->server);
}

void creation_resume(struct creation *creation, struct session *session)
{
	long long ms = wants_queue(session) ? queue_time_left_ms(creation, session)
					    : RETURN_OF_AGENTS_MS;

	if (session->order > creation->last_order)
		creation->last_order = session->order;
	wait_for_server(creation, session, ms);
}

/* --- the queue ---------------------------------------------------------------------------------
 */

/* False: it waits on. */
static bool place_waiting(struct creation *creation, struct session *session, struct list *among)
{
	struct server *server = NULL;
	struct error err = {0};

	if (choose(creation, session, among, &server, &err) < 0 || !server)
		return false;
	creation_cancel(creation, session);
	if (session->timer)
		timer_stop(session->timer);
	take_to(creation, session, server);
	return true;
}

/* Servers that can take nothing at all need not be looked at for each that waits. */
static void drop_unfit(struct creation *creation, unsigned long long now_ms)
{
	struct server_list *servers = &creation->fleet->servers;
	enum placement_obstacle obstacle;
	struct error err;

	list_for_each_safe (server, &creation->changed, struct server, changed) {
		if (placement_check(servers, server, NULL, now_ms, &obstacle, &err) < 0 ||
		    obstacle != OBSTACLE_NONE)
			list_remove(&server->changed);
	}
}

/* In order, but who fits does not wait behind who does not. The places that are new are on servers
 * that have changed: on all others nobody who waits fitted before. */
static void look_at_queue(void *userdata)
{
	struct creation *creation = userdata;
	unsigned long long now_ms = loop_now_ms(creation->fleet->loop);

	drop_unfit(creation, now_ms);
	list_for_each_safe (session, &creation->waiting, struct session, waiting) {
		if (list_is_empty(&creation->changed))
			break;
		if (!session->is_hidden && place_waiting(creation, session, &creation->changed))
			drop_unfit(creation, now_ms);
	}
	while (!list_is_empty(&creation->changed))
		list_remove(creation->changed.next);
}

void creation_poke(struct creation *creation, struct server *server)
{
	if (!creation->timer || creation->n_waiting == 0 || !server)
		return;
	if (list_is_empty(&server->changed))
		list_append(&creation->changed, &server->changed);
	if (!timer_is_active(creation->timer))
		timer_start(creation->timer, POKE_MS, 0);
}
