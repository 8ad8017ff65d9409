/**
 * The link to the broker: registration, token, WebSocket, reports, and requests that come over it.
 * It is kept up with back-off and jitter; without it the host works on locally.
 * Source: link-protocol.h.
 */
#ifndef AGENT_LINK_H
#define AGENT_LINK_H

#include "agent/agent.h"

struct link;

/** @config->broker_host must be set. */
struct link *link_new(struct agent *agent, const char *state_folder, struct error *err);

/** Stop timers; when the loop is about to stop. Takes NULL. */
void link_stop(struct link *link);

/** After the loop has stopped. Takes NULL. */
void link_free(struct link *link);

/** Begin to connect, once the agent knows its sessions. */
void link_start(struct link *link);

/** Something a report would tell has changed: send one soon. Takes NULL. */
void link_report_soon(struct link *link);

#endif
