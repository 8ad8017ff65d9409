/**
 * Somebody at the door of a session of this host, or inside: guests.h has all of them. Here they are let in
 * or refused, change, and leave; each step is told to the viewer (agent/viewer/protocol.h).
 *
 * Every function that is named after something the viewer says answers it, now or later, and may make the
 * guest leave: nothing of them is to be used after that.
 */
#ifndef AGENT_GUEST_H
#define AGENT_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/admission.h"
#include "agent/agent.h"
#include "agent/engines/engine.h"
#include "agent/packet-socket.h"
#include "agent/refusals.h"
#include "agent/viewer/protocol.h"
#include "common/message.h"

struct guests {
	struct agent *agent;
	struct packet_listener *listener;
	struct packet_socket *viewer; /* NULL: there is none */
	struct admission *admission;
	struct refusals *refusals;
	struct list guests; /* struct guest::link */
	size_t n;
};

/* Questions that are under way keep a reference. */
struct guest {
	struct connection_wish wish; /* first */
	struct list link;            /* guests::guests, until they have left */
	struct guests *guests;       /* NULL: they have left */
	unsigned n_refs;
	char *tag, *token, *session_id, *address, *user;
	uint32_t features;
	bool is_checking; /* only what would be */
	bool is_owner;
	bool is_awaited;     /* the connection to the RFB server */
	struct timer *timer; /* for the next try to have it */
	unsigned n_tries;
	bool is_inside;
};

/** Somebody of whom the viewer says @message, with at least a TAG. They belong to @guests until they leave. */
struct guest *guest_new(struct guests *guests, const struct message *message, struct error *err);

/** Their session, if it is there and ready; else NULL. */
struct session *guest_session(const struct guest *guest);

/** "check": would their token let them in? */
void guest_check(struct guest *guest);

/** "connect": let them in, if their token and the permissions do. */
void guest_connect(struct guest *guest);

/** "holds": they are inside already, and the agent is new. */
void guest_hold(struct guest *guest);

/** "files": connect the viewer to the program that serves the session's. */
void guest_connect_files(struct guest *guest);

/** "gone": they have left by themselves. Others may have to leave as well. */
void guest_leave_alone(struct guest *guest);

/** Ask again what they may do, and act on it. */
void guest_ask_access(struct guest *guest);

/** They have to leave, and the viewer is told why. */
void guest_put_out(struct guest *guest, enum viewer_end reason);

/** They are gone; nobody is told. */
void guest_leave(struct guest *guest);

#endif
