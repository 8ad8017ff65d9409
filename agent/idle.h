/**
 * The idle policy of this host: sessions that nobody uses are ended, after their owners were told.
 *
 * The rule is in idle-rule.h; here is what it needs to know and what follows from it. Sessions that
 * were made by other means than this product are left alone, and while the engine does not answer all
 * are. Settings: agent.idle_*.
 */
#ifndef AGENT_IDLE_H
#define AGENT_IDLE_H

#include <jansson.h>

#include "agent/session.h"
#include "common/error.h"

struct agent;
struct idle;

/** Begin to watch, if any setting says so. The agent is borrowed. */
struct idle *idle_new(struct agent *agent, struct error *err);

/** Something of a session has changed: look soon. Takes NULL. */
void idle_look_soon(struct idle *idle);

/** Takes NULL. */
void idle_free(struct idle *idle);

/** The engine has found how much CPU time the session has used so far. */
void idle_used(struct idle *idle, struct session *session, long long cpu_ms);

/**
 * What the policy says of a session now, for people and programs at the local socket:
 * {"State", "Reason"}, and if it will be ended {"EndTime", "SecondsLeft"}, and {"CpuPercent"} where
 * that is known. State: OFF, EXEMPT, NOT_READY, UNKNOWN, IN_USE, BUSY, IDLE or WARNED. NULL without
 * memory.
 */
json_t *idle_to_json(const struct agent *agent, const struct session *session);

#endif
