/**
 * Runs of the `dcv` command, which is how a DCV server is driven.
 *
 * Never a shell: the arguments are a vector. A command has a time limit and a bound for what it
 * prints; one that passes either is ended with its process group. There are two pools, so that
 * screenshots and the rest do not wait for each other; each runs DCV_COMMANDS_AT_ONCE at a time,
 * the others wait in the order they came. Source: dcv-cli.md, section 2.
 */
#ifndef AGENT_ENGINES_DCV_COMMAND_H
#define AGENT_ENGINES_DCV_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/loop.h"

#define DCV_COMMANDS_AT_ONCE 4
#define DCV_ARGUMENTS_MAX 24

struct dcv_commands;
struct dcv_command;

/** Arguments under construction; all zero at first. That one is lacking is told by dcv_command_run(). */
struct dcv_arguments {
	char *items[DCV_ARGUMENTS_MAX + 2]; /* the first is the program; ends in NULL */
	size_t n;
	bool is_incomplete; /* memory ran out */
};

void dcv_arguments_add(struct dcv_arguments *arguments, const char *text);

/** "--name=value"; nothing when @value is NULL. A value that begins with '-' stays a value. */
void dcv_arguments_add_option(struct dcv_arguments *arguments, const char *name, const char *value);
void dcv_arguments_add_number(struct dcv_arguments *arguments, const char *name, long long value);
void dcv_arguments_done(struct dcv_arguments *arguments);

enum dcv_pool { DCV_POOL_GENERAL, DCV_POOL_SCREENSHOTS, N_DCV_POOLS };

struct dcv_order {
	enum dcv_pool pool;
	unsigned long long limit_ms;
	size_t output_max_bytes;
	bool is_waiting_counted; /* the limit holds from the order on, not from the start */
	bool is_change;          /* when the agent stops, it is let run to its end */
	bool is_owed;            /* then it is answered: ERR_UNAVAILABLE */
	/**
	 * Called once, later. @output: what it printed, which may be taken; NULL if @err tells why
	 * not: ERR_TIMEOUT, ERR_TOO_LARGE, ERR_UNREACHABLE when it could not be started, ERR_SYSTEM
	 * with its first line of complaint when it failed.
	 */
	void (*done)(struct buf *output, const struct error *err, void *userdata);
	void *userdata;
};

/** @program: its path, borrowed. */
struct dcv_commands *dcv_commands_new(struct loop *loop, const char *program, struct error *err);

/** Takes NULL. Only orders that are owed an answer get one; reading commands are ended. */
void dcv_commands_free(struct dcv_commands *commands);

/** Order a run. Empties @arguments in every case. *ret_command may be NULL. */
int dcv_command_run(struct dcv_commands *commands, const struct dcv_order *order,
		    struct dcv_arguments *arguments, struct dcv_command **ret_command,
		    struct error *err);

/** The answer is not wanted any more. A change goes on. Takes NULL. */
void dcv_command_forget(struct dcv_command *command);

#endif
