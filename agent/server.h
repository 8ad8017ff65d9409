/**
 * This host as a server of the API: its identity, its mark of being closed, its availability.
 *
 * The id is made once, in the form base64("HOSTNAME-ADDRESS-32 hex digits"), and kept with the mark
 * in STATE_DIR/server.json: it does not change with name or address, so a host is one record for
 * ever.
 */
#ifndef AGENT_SERVER_H
#define AGENT_SERVER_H

#include <jansson.h>
#include <stdbool.h>

#include "agent/config.h"
#include "agent/engines/engine.h"
#include "agent/inventory.h"
#include "agent/session-list.h"

struct server {
	const struct agent_config *config;
	const struct session_list *sessions;
	struct engine *engine;
	struct inventory inventory;
	char *path; /* of server.json */
	char *id;
	char hostname[256], dns_name[256], address[64];
	bool is_closed; /* by this host's own mark */
	json_t *tags;
};

/** Read or make the identity, and see what there is. Everything is borrowed. */
int server_init(struct server *server, const struct agent_config *config,
		const struct session_list *sessions, struct engine *engine,
		const char *state_folder, struct error *err);
void server_done(struct server *server);

/** Set or clear the mark; it survives the agent. */
int server_set_closed(struct server *server, bool is_closed, struct error *err);

/** The address and the name have been found to be these. Did that change anything? */
bool server_set_address(struct server *server, const char *address, const char *dns_name);

/**
 * NULL when available, else an UnavailabilityReason: the first that applies of those that an agent
 * can know of, in the order of the API reference. What is told is true now: nothing is remembered.
 */
const char *server_unavailability(const struct server *server);

/** As DescribeServers shows it. NULL without memory. */
json_t *server_to_json(const struct server *server);

/** The few members that a Session's Server has. NULL without memory. */
json_t *server_to_short_json(const struct server *server);

#endif
