/** The commands: one for each operation of the API, with its options. */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/operations.h"
#include "ctl/option.h"

struct command {
	const struct operation *op;
	const char *id; /* as in operations.def */
	struct option_table options;
};

extern const struct command commands[N_OPERATIONS];

#define COMMAND_NAME_SIZE 40

/** "create-session". */
void command_name(const struct command *command, char ret[COMMAND_NAME_SIZE]);

/** NULL if there is none of that name. */
const struct command *command_find(const char *name);

/**
 * The request that the arguments ask for: *ret_path below the service's URL, for the caller to
 * free, and the JSON text of the body, which stays empty for operations without one.
 */
int command_request(const struct command *command, const struct arguments *args, char **ret_path,
		    struct buf *ret_body, struct error *err);

#endif
