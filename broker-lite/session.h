/**
 * One session, as the broker knows it.
 *
 * What runs is the agents' to say. A session of ours carries its request until a host has it READY,
 * so that it can be placed again; a session that was ordered to go keeps the order until a host
 * confirms; both are in the store meanwhile. All others are memory of reports.
 */
#ifndef BROKER_SESSION_H
#define BROKER_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker-lite/server-list.h"
#include "common/buf.h"
#include "common/list.h"
#include "common/loop.h"
#include "common/text.h"

#define SESSION_ID_MAX_BYTES 1024

enum session_state { CREATING, READY, DELETING, DELETED, UNKNOWN, N_STATES };

/** What can happen to a session; the REPORTED ones and GONE are the agent's word. */
enum session_event {
	REPORTED_CREATING,
	REPORTED_READY,
	REPORTED_DELETING,
	REPORTED_UNKNOWN,
	GONE,
	ORDERED_AWAY,
	PLACED_AGAIN, /* its creation failed, and it gets another chance */
	LOST,         /* the link of its host is gone */
	OVERDUE,      /* it has been on its way for too long */
	N_EVENTS
};

struct placement_wish;

struct session {
	char *id;
	struct server *server; /* bound to; NULL: not placed */
	struct list on_server; /* server::sessions */
	struct list waiting;   /* creation::waiting */
	enum session_state state;
	bool is_console;
	bool is_managed;        /* made through a session manager, as its id tells; else by hand */
	bool is_hidden;         /* not to be described: not yet accepted, or forgotten */
	bool is_confirmed;      /* its host has it */
	bool is_create_pending; /* placed, and the host has not answered yet */
	bool is_delete_ordered; /* until it is gone; DELETED: its host has not heard of it */
	bool is_delete_pending; /* the order is on its way */
	bool is_overdue;        /* UNKNOWN because it took too long, until it is READY or gone */
	bool is_stored;         /* the store has a record of it */
	bool is_forgotten;      /* to be freed as soon as n_pending is 0 */
	unsigned n_pending;     /* callbacks that have a pointer to this */
	unsigned n_failures;    /* of its creation */
	unsigned long report;   /* number of the last report with it */
	json_t *attributes;     /* shaped, without state, substate and reason */
	json_t *request;        /* what CreateSessions was asked; NULL: not needed any more */
	struct placement_wish *wish; /* read from the request when it is placed; NULL: not yet */
	json_t *avoid;               /* ids of servers that could not create it; NULL: none */
	char request_id[UUID_SIZE];  /* of the call that made it; "" after a restart */
	char *reason;                /* StateReason, or NULL */
	unsigned long long order;    /* of acceptance, also across restarts */
	long long accepted_ms;       /* by the clock */
	uint64_t accepted_ns, placed_ns; /* by uv_hrtime(); 0: before this broker was started */
	long long deleted_ms;
	struct timer *timer; /* of the fleet: what to do if nothing happens */
	void *owner;         /* of the timer's function */
	struct buf text;     /* rendered, without the last brace; empty: to be made */
};

/** Takes @attributes. */
struct session *session_new(const char *id, json_t *attributes, struct error *err);
void session_free(struct session *session);

/** Go on to the state that @event leads to; -1 if the table has no way. */
int session_event(struct session *session, enum session_event event);

/** Why it is as it is; NULL: nothing to tell. */
void session_set_reason(struct session *session, const char *reason);

/** Replace what reports tell of it. Takes @attributes. */
void session_set_attributes(struct session *session, json_t *attributes);

/** It will not be placed any more. */
void session_drop_request(struct session *session);

/** "" if it has none. */
const char *session_owner(const struct session *session);

/** "CREATING" and so on. */
const char *session_state_name(enum session_state state);

/** Append the object of DescribeSessions. */
int session_append_text(struct session *session, struct buf *ret, struct error *err);

/** The record in the store, and the session that it stands for (bound to no server yet). */
json_t *session_to_record(const struct session *session);
int session_from_record(const json_t *record, struct session **ret, struct error *err);

/** Does it take part in its server's counts? Call before and after what may change that. */
void session_count(struct session *session, int delta);

#endif
