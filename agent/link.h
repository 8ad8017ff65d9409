/**
 * The link to the broker: registration, token, WebSocket, reports, and requests that come over it.
 * It is kept up with back-off and jitter; without it the host works on locally.
 * Source: link-protocol.h.
 */
#ifndef AGENT_LINK_H
#define AGENT_LINK_H

#include "agent/agent.h"

#define LINK_CLOCK_SKEW_MOST_MS 60000 /* what certificates and tokens bear */

struct link;

/** @config->broker_host must be set. */
struct link *link_new(struct agent *agent, const char *state_folder, struct error *err);

/** Stop timers; when the loop is about to stop. Takes NULL. */
void link_stop(struct link *link);

/** After the loop has stopped. Takes NULL. */
void link_free(struct link *link);

/** Begin to connect, once the agent knows its sessions. */
void link_start(struct link *link);

/**
 * One message of the broker. ERR_INVALID: it is no JSON, and the link is not worth keeping; other
 * nonsense is answered or passed over. Here for tests, which have no broker.
 */
int link_take_message(struct link *link, const char *text, size_t len, struct error *err);

/** Ask the broker for a certificate of the web viewer; viewer_certificate_answer() follows. @link may be NULL. */
int link_ask_certificate(struct link *link, const char *request, struct error *err);

/** Something a report would tell has changed: send one soon. Takes NULL. */
void link_report_soon(struct link *link);

#endif
