/**
 * The links of agents: WebSockets, one for each agent that is connected.
 *
 * Of several links of one agent the newest counts: the agent has most likely lost the other.
 */
#ifndef BROKER_AGENT_LIST_H
#define BROKER_AGENT_LIST_H

#include "broker-lite/authorization.h"
#include "broker-lite/relay.h"
#include "common/list.h"
#include "common/log-limit.h"
#include "common/ws.h"

struct certification;
struct fleet;
struct security;
struct server;

struct agent {
	struct list link;      /* agent_list::agents */
	struct ws *ws;         /* NULL: the link is closing, nothing more is said */
	struct client *client; /* NULL without authorization */
	struct server *server; /* NULL until the first report */
	struct list pending;   /* relay.c's */
};

struct agent_list {
	struct list agents;
	struct ws_handler handler; /* for http_server_new(); its ws_userdata is the list */
	struct authorization *authorization; /* NULL: agents need no token */
	struct fleet *fleet;
	struct security *security;
	struct certification *certification;
	struct log_limit refusals; /* of links */
};

/** What a list works with; all borrowed. */
struct agent_list_parts {
	struct authorization *authorization; /* NULL: agents need no token */
	struct fleet *fleet;
	struct security *security;
	struct certification *certification;
	size_t message_max_bytes;
};

void agent_list_init(struct agent_list *list, const struct agent_list_parts *parts);

/** Say hello to everybody again: what it tells has changed. */
void agent_list_greet(struct agent_list *list);

/** After the loop has stopped. */
void agent_list_done(struct agent_list *list);

/** Close the links of a client that was unregistered. */
void agent_list_drop(struct agent_list *list, const struct client *client);

/** Every command in flight fails with @err. */
void agent_list_cancel(struct agent_list *list, const struct error *err);

int agent_send(struct agent *agent, const char *text, size_t len, struct error *err);

/** For the log. */
const char *agent_name(const struct agent *agent);

#endif
