/**
 * One simulated agent: a server with its sessions, and its link to the broker.
 *
 * It keeps connecting with growing pauses, reports at once when something changes and otherwise at
 * the fleet's interval, and answers what the broker asks as its behaviour has it.
 */
#ifndef FLEET_AGENT_H
#define FLEET_AGENT_H

#include <jansson.h>
#include <stdbool.h>

#include "common/list.h"
#include "common/loop.h"
#include "common/operations.h"
#include "common/ws.h"
#include "tests/doubles/fleet/behaviour.h"
#include "tests/doubles/fleet/registration.h"

struct fleet;
struct session;

enum agent_link {
	LINK_DOWN,       /* waiting for a timer, or away, or silent */
	LINK_WAITING,    /* for its turn to connect; in fleet::waiting */
	LINK_CONNECTING, /* registration, token, WebSocket */
	LINK_UP
};

struct agent {
	struct fleet *fleet;
	json_t *server;           /* as reported */
	const char *id;           /* in server */
	const char *other_reason; /* of the file, for UNAVAILABLE; NULL: what we work out */
	bool is_closed;           /* the host's own mark */
	struct behaviour behaviour;
	struct list sessions; /* struct session::link */

	struct registration registration;
	enum agent_link link;
	struct ws *ws;       /* LINK_UP */
	struct list waiting; /* fleet::waiting */
	bool has_turn;       /* one of those that connect now */
	bool is_settled;     /* counted in fleet::n_settled */
	bool is_away;        /* told to stay away */
	bool is_silent;      /* silent_after_ms has passed */
	bool is_report_due;
	struct timer *timer;         /* down: connect again. up: the next report */
	struct timer *silence_timer; /* NULL: never needed */
	unsigned long long backoff_ms;

	unsigned long long sequence, n_links, n_acknowledged;
	unsigned long long n_received[N_OPERATIONS];
};

struct agent_counts {
	long long n_console, n_virtual, n_owner; /* those of one owner: virtual ones */
};

extern const struct ws_handler agent_ws_handler;

/** Takes @server and copies @behaviour. What fails half-way is for agent_done(). */
int agent_init(struct agent *agent, struct fleet *fleet, json_t *server,
	       const struct behaviour *behaviour, struct error *err);

/** Close timers and forget the sessions; before the loop stops. */
void agent_stop(struct agent *agent);
void agent_done(struct agent *agent);

/** It is this agent's turn: connect now. */
void agent_connect(struct agent *agent);

/** Tell the broker, together with what else changes within a moment. */
void agent_report_soon(struct agent *agent);

/* The control socket's. */
int agent_set_behaviour(struct agent *agent, const json_t *object, struct error *err);
void agent_drop(struct agent *agent);
void agent_stay_away(struct agent *agent);
void agent_come_back(struct agent *agent);

/** NULL if there is none. */
struct session *agent_find_session(const struct agent *agent, const char *id);

/** Sessions that have not ended; @owner may be NULL. */
struct agent_counts agent_count(const struct agent *agent, const char *owner);
bool agent_is_full(const struct agent *agent, const struct agent_counts *counts);

/** The number that a tag has, -1 if there is no such tag. */
long long agent_tag_number(const struct agent *agent, const char *key);

#endif
