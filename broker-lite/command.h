/**
 * The administrator's commands, carried out by the running broker.
 *
 * They come over a Unix socket that only root and the broker's user may open: POST /NAME with a
 * JSON object of the options. The answer has the text for people and the object of --json.
 */
#ifndef BROKER_COMMAND_H
#define BROKER_COMMAND_H

#include <stdbool.h>

#include "common/http-server.h"

#define COMMAND_BODY_MAX_BYTES 65536

struct command {
	const char *name;
	const char *option; /* the one it needs; NULL: none */
	const char *alias;
	const char *value; /* what the option is, in capitals */
	bool is_required;  /* the option */
	const char *help;
};

extern const struct command commands[];
extern const size_t n_commands;

const struct command *command_find(const char *name);

/** A request on the command socket; @userdata is the broker. */
void command_serve(struct http_request *request, void *userdata);

#endif
