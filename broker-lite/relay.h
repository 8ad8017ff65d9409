/**
 * Commands to agents, and who waits for their answers.
 *
 * Every command has a deadline; whatever the agent does, its function is called exactly once: with
 * the reply, or with ERR_TIMEOUT, ERR_UNREACHABLE, or what the agent said went wrong.
 */
#ifndef BROKER_RELAY_H
#define BROKER_RELAY_H

#include "broker-lite/link-message.h"
#include "common/list.h"
#include "common/loop.h"
#include "common/operations.h"

struct agent;

/** The commands in flight. */
struct relay {
	struct loop *loop;
	struct timer *timer; /* for the deadline that comes next */
	unsigned long long timer_ms;
	/* In the order of their deadlines, for one kind of command has always the same time. */
	struct list by_deadline[N_OPERATIONS];
	long long last_id;
};

/** @body: the reply's object, borrowed; NULL if @err tells what went wrong. */
typedef void (*relay_fn)(const char *body, size_t len, const struct error *err, void *userdata);

/** "context" of a command, see common/link-protocol.h; what is NULL or 0 is left out. */
struct relay_context {
	const char *session_id, *creation_time, *request_id, *format;
	long long attempt, max_width, max_height;
};

struct relay_command {
	enum operation_id operation;
	struct relay_context context;
	const char *body; /* a JSON object */
	size_t body_len;
	relay_fn fn;
	void *userdata;
};

int relay_init(struct relay *relay, struct loop *loop, struct error *err);

/** When the loop stops. No command is sent any more, and no deadline of one in flight comes. */
void relay_stop(struct relay *relay);

/**
 * Send a command over the link of @agent (NULL: there is none). On failure @fn is not called, else
 * later.
 */
int relay_send(struct relay *relay, struct agent *agent, const struct relay_command *command,
	       struct error *err);

/** A reply has come; one that nobody waits for any more is dropped. */
void relay_reply(struct agent *agent, const struct link_message *message);

/** The link of @agent is gone, or we are stopping. */
void relay_cancel(struct agent *agent, const struct error *err);

#endif
