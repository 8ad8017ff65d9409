/**
 * Commands to agents, and who waits for their answers.
 *
 * Every command has a deadline; whatever the agent does, its function is called exactly once: with
 * the reply, or with ERR_TIMEOUT, ERR_UNREACHABLE, or what the agent said went wrong.
 */
#ifndef BROKER_RELAY_H
#define BROKER_RELAY_H

#include <jansson.h>

#include "broker-lite/link-message.h"
#include "common/list.h"
#include "common/loop.h"
#include "common/operations.h"

struct agent;

struct relay {
	struct loop *loop;
	long long last_id;
};

/** @body: the reply's object, borrowed; NULL if @err tells what went wrong. */
typedef void (*relay_fn)(const char *body, size_t len, const struct error *err, void *userdata);

struct relay_command {
	enum operation_id operation;
	json_t *context; /* taken; "Deadline" is added */
	const json_t *body;
	unsigned timeout_ms;
	relay_fn fn;
	void *userdata;
};

/**
 * Send a command over the link of @agent (NULL: there is none). On failure @fn is not called, else
 * later. context is taken in every case.
 */
int relay_send(struct relay *relay, struct agent *agent, const struct relay_command *command,
	       struct error *err);

/** A reply has come; one that nobody waits for any more is dropped. */
void relay_reply(struct agent *agent, const struct link_message *message);

/** The link of @agent is gone, or we are stopping. */
void relay_cancel(struct agent *agent, const struct error *err);

#endif
