/**
 * All servers with all their sessions, and what time does to them: lost links and deadlines. What
 * agents tell about them is read in report.c.
 */
#ifndef BROKER_FLEET_H
#define BROKER_FLEET_H

#include "broker-lite/creation.h"
#include "broker-lite/relay.h"
#include "broker-lite/server-list.h"
#include "broker-lite/session-list.h"

/* An agent that restarts is back before this; until then nothing is told to be lost. */
#define RECONNECT_GRACE_MS 5000

struct audit;
struct broker_config;
struct client_list;
struct metrics;

struct fleet {
	struct loop *loop;
	const struct broker_config *config;
	const struct client_list *clients;
	struct server_list servers;
	struct session_list sessions;
	struct audit *audit;     /* set after fleet_init() */
	struct metrics *metrics; /* the same */
	struct relay relay;
	struct creation creation;
	unsigned long n_reports;
	bool is_stopping;
};

/** What a fleet works with; all borrowed. */
struct fleet_parts {
	struct loop *loop;
	const struct broker_config *config;
	const struct client_list *clients; /* who the agents are */
	struct store *store;
	struct audit *audit;
	struct metrics *metrics;
};

/** Read what the store has and go on with it. */
int fleet_init(struct fleet *fleet, const struct fleet_parts *parts, struct error *err);

/** No timer of ours may fire, or be left, from here on. */
void fleet_stop(struct fleet *fleet);

/** After the loop has stopped. */
void fleet_done(struct fleet *fleet);

/** The link of @server stands (again). */
void fleet_link_stands(struct server *server);

void fleet_link_lost(struct fleet *fleet, struct agent *agent);

/** @server, which has no link, will not come back under this id: there is nothing to wait for. */
void fleet_server_lost(struct fleet *fleet, struct server *server);

/** The same host tells as @successor, with its sessions: what is there as well goes, and so does
 * @server if it has no others. */
void fleet_server_replaced(struct fleet *fleet, struct server *server,
			   const struct server *successor);

/** @session is DELETED, whatever it was. @reason may be NULL; a waiting @session waits no longer.
 */
void fleet_session_gone(struct fleet *fleet, struct session *session, const char *reason);

/** Tell @server, if it has a link, to end @session. What comes of it is told by reports. */
void fleet_send_delete(struct fleet *fleet, struct server *server, struct session *session);

/** session_event(), and see to the deadline of the state that it leads to. */
void fleet_event(struct fleet *fleet, struct session *session, enum session_event event);

/** Begin the deadline of the state that @session is in, if that is one that has to end. */
void fleet_watch(struct fleet *fleet, struct session *session);

/** Look at @session again in @ms if nothing happens before. */
void fleet_arm(struct fleet *fleet, struct session *session, unsigned long long ms);

#endif
