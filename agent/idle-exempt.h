/** Which sessions the idle policy leaves alone: the items of agent.idle_exempt, and what they mean. */
#ifndef AGENT_IDLE_EXEMPT_H
#define AGENT_IDLE_EXEMPT_H

#include <jansson.h>

#include "agent/session.h"
#include "common/error.h"

/** ERR_CONFIG for a list (as agent_config has them) with an item that means nothing. */
int idle_exempt_check(const char *list, struct error *err);

/**
 * The item of @list that holds for the session on a host with these tags (tags_load()), or NULL.
 * Borrowed from @list.
 */
const char *idle_exempt_find(const char *list, const struct session *session, const json_t *tags);

#endif
