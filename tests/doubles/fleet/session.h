/**
 * A session of a simulated server. It lives in memory: CREATING, after a time READY, or DELETED
 * when its creation is to fail; DELETING, then DELETED, and a minute later forgotten.
 */
#ifndef FLEET_SESSION_H
#define FLEET_SESSION_H

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/list.h"
#include "common/loop.h"

#define SESSION_DELETE_MS 20
#define SESSION_KEEP_MS 60000

struct agent;

struct session {
	struct list link; /* agent::sessions */
	struct agent *agent;
	struct timer *timer; /* NULL: nothing is to come by itself */
	json_t *attributes;  /* as reported */
	json_t *permissions; /* string: PermissionsFile as it came; NULL: none */
	json_t *fail_reason; /* string: the creation will fail for this; NULL: it will not */
	long long attempt;   /* 0: host-made */
	unsigned long long ended_ms;
};

/**
 * A session in CREATING, in the agent's list. Takes @attributes, which must have Id, Name, Owner
 * and Type as strings; CreationTime and NumOfConnections are added where they are missing.
 */
struct session *session_new(struct agent *agent, json_t *attributes, struct error *err);

/** Unlinks it. Takes NULL. */
void session_free(struct session *session);

const char *session_id(const struct session *session);
const char *session_owner(const struct session *session);
bool session_is(const struct session *session, const char *state);
bool session_is_console(const struct session *session);

/** READY after @ms, or DELETED for fail_reason. */
int session_begin(struct session *session, unsigned long long ms, struct error *err);
void session_set_ready(struct session *session);

/** DELETING now, DELETED soon. */
int session_delete(struct session *session, const char *reason, struct error *err);

/** DELETED at once, by itself. */
void session_end(struct session *session, const char *reason);

#endif
