/**
 * The commands: one for each operation of the API, with its options, and those of dcvctl alone: what
 * asks no service, and what an agent tells beyond the API.
 */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/operations.h"
#include "ctl/exit-status.h"
#include "ctl/option.h"

struct command {
	const struct operation *op; /* what it asks; NULL: no service */
	const char *id;             /* as in operations.def; with '_' between the words */
	const char *help;
	struct option_table options;
	/** Asks no service: do it, print the outcome. */
	enum exit_status (*run)(const struct arguments *args, bool wants_json);
	/** Asks in a way of our own: append the answer for people. */
	int (*print)(const json_t *answer, struct buf *out, struct error *err);
	bool is_local; /* for the agent of this host alone */
};

/* Those of the operations come first, in their order. */
#define N_COMMANDS (N_OPERATIONS + 5)
extern const struct command commands[N_COMMANDS];

#define COMMAND_NAME_SIZE 40

/** The original's client has the operations only. */
bool command_is_for(const struct command *command, enum program program);

/** "create-session". */
void command_name(const struct command *command, char ret[COMMAND_NAME_SIZE]);

/** NULL if the program has none of that name. */
const struct command *command_find(enum program program, const char *name);

/**
 * The request that the arguments ask for: *ret_path below the service's URL, for the caller to
 * free, and the JSON text of the body, which stays empty for operations without one.
 */
int command_request(const struct command *command, const struct arguments *args, char **ret_path,
		    struct buf *ret_body, struct error *err);

#endif
