/** What a simulated agent does when the broker asks. */
#ifndef FLEET_OPERATION_H
#define FLEET_OPERATION_H

#include "common/operations.h"
#include "common/requests.h"
#include "tests/doubles/fleet/agent.h"

/** The fields of any operation that an agent may be asked for. */
union operation_fields {
	struct create_session_request create;
	struct delete_session_request delete;
	struct update_session_permissions_request update;
	struct get_session_screenshot_request screenshot;
	struct open_server_request open;
};

/** Does an agent have that operation? And may it do without the context that the broker gave it? */
bool operation_is_known(const struct operation *op);
bool operation_needs_context(const struct operation *op);

/**
 * Carry out an element of a request, whose @fields have been read. *ret is the body of the answer and
 * the caller's.
 */
int operation_carry_out(struct agent *agent, const struct operation *op,
			const union operation_fields *fields, const json_t *context, json_t **ret,
			struct error *err);

#endif
