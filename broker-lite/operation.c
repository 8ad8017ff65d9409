#include "broker-lite/operation.h"

#include "broker-lite/broker.h"

typedef void (*handler_fn)(struct broker *broker, const void *fields, struct answer *answer);

static const handler_fn handlers[N_OPERATIONS] = {
#define OPERATION(id, name, method, path, body, who, echo, help) [OPERATION_##id] = operation_##id,
#include "common/operations.def"
#undef OPERATION
};

void operation_carry_out(const struct operation *op, const void *caller, const void *fields,
			 struct answer *answer, void *userdata)
{
	(void)caller; /* every authorized client may do everything */
	handlers[op->id](userdata, fields, answer);
}
