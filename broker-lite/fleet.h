/**
 * All servers with all their sessions, and what happens to them: reports, lost links, deadlines.
 */
#ifndef BROKER_FLEET_H
#define BROKER_FLEET_H

#include "broker-lite/creation.h"
#include "broker-lite/relay.h"
#include "broker-lite/server-list.h"
#include "broker-lite/session-list.h"

/* An agent that restarts is back before this; until then nothing is told to be lost. */
#define RECONNECT_GRACE_MS 5000
/* Longer than any agent may take (agent.create_timeout), so this only ends what nobody minds. */
#define CREATE_DEADLINE_MS 3700000ULL

struct broker_config;

struct fleet {
	struct loop *loop;
	const struct broker_config *config;
	struct server_list servers;
	struct session_list sessions;
	struct relay relay;
	struct creation creation;
	unsigned long n_reports;
	bool is_stopping;
};

/** Read what the store has and go on with it. */
int fleet_init(struct fleet *fleet, struct loop *loop, const struct broker_config *config,
	       struct store *store, struct error *err);

/** No timer of ours may fire, or be left, from here on. */
void fleet_stop(struct fleet *fleet);

/** After the loop has stopped. */
void fleet_done(struct fleet *fleet);

/** An agent reports; @body is one JSON object. ERR_INVALID, ERR_CONFLICT: the link is to go. */
int fleet_report(struct fleet *fleet, struct agent *agent, const char *body, size_t len,
		 struct error *err);

void fleet_link_lost(struct fleet *fleet, struct agent *agent);

/** @session is DELETED, whatever it was. @reason may be NULL; a waiting @session waits no longer.
 */
void fleet_session_gone(struct fleet *fleet, struct session *session, const char *reason);

/** Tell @server, if it has a link, to end @session. What comes of it is told by reports. */
void fleet_send_delete(struct fleet *fleet, struct server *server, struct session *session);

/** Look at @session again in @ms if nothing happens before. */
void fleet_arm(struct fleet *fleet, struct session *session, unsigned long long ms);

#endif
