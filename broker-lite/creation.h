/**
 * From the wish for a session to a host that has it: placement, the queue, and another try where a
 * host fails. Source: the API reference, "Placement, queue, retry".
 */
#ifndef BROKER_CREATION_H
#define BROKER_CREATION_H

#include <jansson.h>

#include "broker-lite/session.h"
#include "common/call.h"
#include "common/requests.h"

struct fleet;

struct creation {
	struct fleet *fleet;
	struct list waiting; /* session::waiting, in the order in which they were accepted */
	size_t n_waiting;
	struct list changed; /* server::changed: where those that wait may fit now */
	struct timer *timer; /* the queue is looked at soon */
	unsigned long long started_ms;
	unsigned long long last_order; /* the greatest session::order */
};

int creation_init(struct creation *creation, struct fleet *fleet, struct error *err);
void creation_stop(struct creation *creation);

/** CreateSessions: accept the session, or say why not. */
void creation_begin(struct creation *creation, const struct create_session_request *request,
		    struct answer *answer);

/**
 * The host of @session could not create it, or lost it on the way.
 *
 * @code: whose fault it was. If error_blames_request(), nothing is held against the host; with
 * ERR_INVALID and ERR_TOO_LARGE no other host is tried.
 * @reason: for people
 */
void creation_failed(struct creation *creation, struct session *session, enum error_code code,
		     const char *reason);

/** The host of @session has it READY. */
void creation_succeeded(struct creation *creation, struct session *session);

/** The host of @session never heard of it: place it again, which is nobody's failure. */
void creation_place_again(struct creation *creation, struct session *session);

/** A session of the store that no server has yet. */
void creation_resume(struct creation *creation, struct session *session);

/** @session waits no longer; harmless if it does not. */
void creation_cancel(struct creation *creation, struct session *session);

/** @server has changed: those that wait may fit there now. */
void creation_poke(struct creation *creation, struct server *server);

#endif
