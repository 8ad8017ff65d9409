#include "agent/agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/boot.h"
#include "agent/guests.h"
#include "agent/session-permissions.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/text.h"

/* --- events of the list ------------------------------------------------------------------------
 */

static void on_changed(void *userdata)
{
	struct agent *agent = userdata;

	guests_look(agent->guests);
	idle_look_soon(agent->idle);
	if (agent->is_ready)
		agent->on_change(agent->userdata);
}

static void on_expired(struct session *session, void *userdata)
{
	struct agent *agent = userdata;
	char reason[80];
	struct error err;

	if (session->state == SESSION_CREATING && !session->is_starting)
		(void)snprintf(reason, sizeof(reason),
			       "the session's turn to start did not come within %lld s",
			       agent->config->queue_timeout);
	else if (session->state == SESSION_CREATING)
		(void)snprintf(reason, sizeof(reason), "the session was not ready within %lld s",
			       agent->config->create_timeout);
	else
		(void)snprintf(reason, sizeof(reason), "the session does not end; ordered again");
	log_warning("session %s: %s", session->id, reason);
	if (session->state == SESSION_CREATING)
		metrics_count_failed_creation(&agent->metrics, ERR_TIMEOUT);
	if (agent_end_session(agent, session, reason, &err) < 0)
		log_error("session %s: %s", session->id, err.message);
}

/* --- events of the engine ----------------------------------------------------------------------
 */

static void apply(struct agent *agent, struct session *session, enum session_event event,
		  const char *reason)
{
	struct error err;

	if (session_list_apply(&agent->sessions, session, event, reason, &err) < 0)
		log_error("%s", err.message);
}

/* A session whose record was lost, with a full disk for instance, is still a session, and so is one
 * that somebody has made by other means. */
static struct session *adopt_without_record(struct agent *agent, const struct found_session *found)
{
	const struct create_session_request request = {
		.name = found->name, .owner = found->owner, .type = found->type};
	long long time_ms = found->creation_time_ms ? found->creation_time_ms : time_now_ms();
	struct error err;
	struct session *session = NULL;

	if (found->is_host_made || session_list_is_id(found->id))
		session = session_new(found->id, &request, time_ms, &err);
	else
		(void)error_set(&err, ERR_INVALID, "that is no session id");
	if (session) {
		session->is_host_made = found->is_host_made;
		session_list_adopt(&agent->sessions, session);
	} else {
		log_error("session %s of %s cannot be adopted: %s", found->id, found->owner,
			  err.message);
	}
	return session;
}

static struct session *on_found(const struct found_session *found, void *userdata)
{
	struct agent *agent = userdata;
	struct session *session = session_list_find(&agent->sessions, found->id);

	if (session && !session_is_of(session, found->owner)) {
		/* The id of one that has ended was used once more. Ours that lives stays ours. */
		if (session->state != SESSION_DELETED) {
			log_warning("session %s belongs to %s, not to %s", found->id,
				    session->owner, found->owner);
			return NULL;
		}
		session_list_remove(&agent->sessions, session);
		session = NULL;
	}
	if (session)
		apply(agent, session, SESSION_EVENT_FOUND, NULL);
	else
		session = adopt_without_record(agent, found);
	if (session && !session->rights)
		session_permissions_restore(session, agent->config);
	if (session)
		log_info("session %s adopted (owner=%s)", found->id, found->owner);
	return session;
}

/* Sessions that should be there and are not. An order to create that found no keeper yet is given
 * again: by its id it has an effect once only, and the one of an agent that is gone has none. */
static void settle_lost_session(struct agent *agent, struct session *session)
{
	struct error err;

	if (session->state == SESSION_CREATING &&
	    agent->engine->ops->create(agent->engine, session, &err) == 0) {
		session_permissions_restore(session, agent->config);
		return;
	}
	apply(agent, session, SESSION_EVENT_ENDED,
	      agent->is_new_boot ? "the host was shut down or rebooted"
				 : "the session ended while the agent was away");
}

static void settle_sessions(struct agent *agent)
{
	struct error err;

	list_for_each (session, &agent->sessions.sessions, struct session, link) {
		if (session->state == SESSION_DELETED)
			continue;
		if (!session->part)
			settle_lost_session(agent, session);
		else if (session->state == SESSION_DELETING)
			(void)agent_end_session(agent, session, "ordered again", &err);
	}
}

static void on_searched(void *userdata)
{
	struct agent *agent = userdata;

	if (!agent->engine->status.trouble)
		settle_sessions(agent);
	if (agent->is_ready)
		return;
	agent->is_ready = true;
	agent->on_ready(agent->userdata);
}

static void on_session_starting(struct session *session, void *userdata)
{
	struct agent *agent = userdata;

	session_list_note_start(&agent->sessions, session);
}

static void on_session_ready(struct session *session, void *userdata)
{
	struct agent *agent = userdata;
	struct error err, problem;

	if (session->state != SESSION_CREATING)
		return;
	if (session_list_check_account(&agent->sessions, session, &err) == 0) {
		metrics_count_creation(&agent->metrics,
				       (double)(time_now_ms() - session->creation_time_ms) / 1000);
		apply(agent, session, SESSION_EVENT_READY, NULL);
		return;
	}
	session_set_failure(session, ERR_DENIED); /* no fault of the host, which has room */
	if (agent_end_session(agent, session, err.message, &problem) < 0)
		log_error("%s", problem.message);
}

static void on_session_ending(struct session *session, const char *reason, void *userdata)
{
	if (session->state != SESSION_DELETING)
		apply(userdata, session, SESSION_EVENT_END, reason);
}

static void on_session_ended(struct session *session, const char *reason, enum error_code code,
			     void *userdata)
{
	struct agent *agent = userdata;

	if (code != ERR_NONE)
		session_set_failure(session, code);
	if (!session->was_ready && session->failure != ERR_NONE)
		metrics_count_failed_creation(&agent->metrics, session->failure);
	apply(agent, session, SESSION_EVENT_ENDED, reason);
}

static void on_session_used(struct session *session, long long cpu_ms, void *userdata)
{
	struct agent *agent = userdata;

	idle_used(agent->idle, session, cpu_ms);
}

/* --- sessions ----------------------------------------------------------------------------------
 */

int agent_create_session(struct agent *agent, struct session *session, struct error *err)
{
	if (session_list_add(&agent->sessions, session, err) < 0) {
		session_free(session);
		return -1;
	}
	if (agent->engine->ops->create(agent->engine, session, err) < 0) {
		session_list_remove(&agent->sessions, session);
		return -1;
	}
	log_info("session %s is CREATING (owner=%s)", session->id, session->owner);
	session_permissions_warn(session, agent->loop);
	return 0;
}

int agent_end_session(struct agent *agent, struct session *session, const char *reason,
		      struct error *err)
{
	if (session_list_apply(&agent->sessions, session, SESSION_EVENT_END, reason, err) < 0)
		return -1;
	if (session->part)
		agent->engine->ops->end(agent->engine, session, reason);
	else if (!agent->engine->status.trouble) /* else it is ended when it can be reached */
		apply(agent, session, SESSION_EVENT_ENDED, NULL);
	return 0;
}

/* --- life --------------------------------------------------------------------------------------
 */

static struct engine *make_engine(struct agent *agent, const struct agent_options *options,
				  struct error *err)
{
	const struct engine_events events = {.found = on_found,
					     .searched = on_searched,
					     .starting = on_session_starting,
					     .ready = on_session_ready,
					     .ending = on_session_ending,
					     .ended = on_session_ended,
					     .used = on_session_used,
					     .changed = on_changed,
					     .userdata = agent};
	const struct dcv_options dcv = {.loop = agent->loop,
					.config = agent->config,
					.handover_folder = options->handover_folder,
					.session_init = options->session_init,
					.events = events};
	const struct x11_options x11 = {.loop = agent->loop,
					.config = agent->config,
					.keeper_socket = options->keeper_socket,
					.keeper_run_dir = options->keeper_run_dir,
					.events = events};

	return engine_is_dcv(agent->config) ? dcv_engine_new(&dcv, err) : x11_engine_new(&x11, err);
}

int agent_init(struct agent *agent, struct loop *loop, const struct agent_config *config,
	       const struct agent_options *options, struct error *err)
{
	const struct session_list_handler handler = {on_changed, on_expired, agent};
	AUTO(free_p) char *key_path = NULL;

	*agent = (struct agent){.loop = loop,
				.config = config,
				.log_desk = {.folder = options->keeper_log_dir, .loop = loop},
				.on_ready = options->on_ready,
				.on_change = options->on_change,
				.userdata = options->userdata};
	list_init(&agent->log_desk.readings);
	metrics_init(&agent->metrics);
	if (asprintf(&key_path, "%s/token.key", options->state_folder) < 0) {
		key_path = NULL;
		return error_oom(err);
	}
	if (token_key_load(&agent->token_key, key_path, err) < 0 ||
	    session_list_init(&agent->sessions, loop, config, options->state_folder, &handler,
			      err) < 0)
		return -1;
	agent->is_new_boot = boot_is_new(options->state_folder);
	agent->engine = make_engine(agent, options, err);
	if (!agent->engine)
		return -1;
	if (server_init(&agent->server, config, &agent->sessions, agent->engine,
			options->state_folder, err) < 0)
		return -1;
	agent->idle = idle_new(agent, err);
	return agent->idle ? 0 : -1;
}

void agent_done(struct agent *agent)
{
	agent->is_ready = false; /* nothing that is taken down is news */
	idle_free(agent->idle);
	agent->idle = NULL;
	server_done(&agent->server);
	if (agent->engine)
		agent->engine->ops->free(agent->engine);
	agent->engine = NULL;
	session_list_done(&agent->sessions);
	viewer_certificate_done(&agent->viewer_certificate);
}

int agent_start(struct agent *agent, struct error *err)
{
	return agent->engine->ops->search(agent->engine, err);
}
