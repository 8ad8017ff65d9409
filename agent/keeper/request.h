/**
 * What the agent asks of a keeper: one packet of protocol.h, checked and taken apart.
 */
#ifndef AGENT_KEEPER_REQUEST_H
#define AGENT_KEEPER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum operation {
	OPERATION_START = 1,
	OPERATION_STOP = 2,
	OPERATION_CAPTURE = 4,
	OPERATION_CLEAN = 8,
	OPERATION_USAGE = 16,
	OPERATION_NOTIFY = 32,
	OPERATION_CONNECT = 64,
	OPERATION_CHECK = 128,
	OPERATION_FILES = 256
};

struct request {
	enum operation operation;
	/* all point into the packet; NULL where absent */
	const char *session_id;
	const char *owner;
	const char *type;
	const char *init_file;
	const char *autorun_file;
	const char *render_node; /* path of the GPU's; NULL: none is wanted */
	const char *reason;
	const char *tag;
	const char *folder; /* of files */
	const char *text;
	const char *number_text;
	const char **arguments; /* of the autorun file, n_arguments and a NULL */
	size_t n_arguments;
	int number;
	bool is_console; /* type */
	char *packet;
};

/**
 * Read a packet, which is copied. End with request_done(), also after a failure.
 *
 * Errors: ERR_INVALID with a sentence that says which field is wrong.
 */
int request_parse(struct request *ret, const void *packet, size_t len, struct error *err);
void request_done(struct request *request);

#endif
