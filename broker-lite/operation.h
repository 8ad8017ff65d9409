/** The nine operations, as a broker carries them out: one handler for each of operations.def. */
#ifndef BROKER_OPERATION_H
#define BROKER_OPERATION_H

#include "common/call.h"

struct broker;

/** For struct api; @userdata is the broker. */
void operation_carry_out(const struct operation *op, const void *caller, const void *fields,
			 struct answer *answer, void *userdata);

#define OPERATION(id, name, method, path, body, who, echo, help)                                   \
	void operation_##id(struct broker *broker, const void *fields, struct answer *answer);
#include "common/operations.def"
#undef OPERATION

#endif
