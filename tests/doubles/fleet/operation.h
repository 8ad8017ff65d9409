/** What a simulated agent does when the broker asks. */
#ifndef FLEET_OPERATION_H
#define FLEET_OPERATION_H

#include "common/operations.h"
#include "tests/doubles/fleet/agent.h"

/** Carry out an element of a request. *ret is the body of the answer and the caller's. */
int operation_carry_out(struct agent *agent, const struct operation *op, const json_t *body,
			const json_t *context, json_t **ret, struct error *err);

#endif
