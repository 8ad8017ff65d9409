/**
 * The nine operations, carried out on this host. The local socket and the broker link only turn
 * bytes into a struct request, and its answer into bytes.
 */
#ifndef AGENT_OPERATION_H
#define AGENT_OPERATION_H

#include <jansson.h>

#include "agent/agent.h"
#include "agent/caller.h"
#include "common/call.h"
#include "common/operations.h"

struct request {
	struct agent *agent;
	const struct operation *op;
	const struct caller *caller;
	const json_t *body;    /* an object, or one element; must live until the answer */
	const json_t *context; /* from the broker (link-protocol.h); NULL at the local socket */
	struct answer *answer;
};

/** Carry out one request of a caller that passed caller_check(). The answer comes at once or later;
 * it always comes. */
void operation_carry_out(const struct request *request);

#endif
