/**
 * Who is connected to the sessions of this host by the web viewer, and who comes to its door.
 *
 * The viewer (agent/viewer/protocol.h) shows tokens; here is decided whom they let in, with which features,
 * and who has to leave: when the session ends, when its permissions change, when its owner leaves and
 * others may not be there without, when there is no room. What a session tells of its connections is
 * counted here.
 */
#ifndef AGENT_GUESTS_H
#define AGENT_GUESTS_H

#include "agent/agent.h"

struct guests;

/** Wait for the viewer at @path. Strings and the agent are borrowed. */
struct guests *guests_new(struct agent *agent, const char *path, struct error *err);

/** When the loop stops, and when it has stopped. Both take NULL. */
void guests_stop(struct guests *guests);
void guests_free(struct guests *guests);

/** Something of the sessions has changed: those of one that has ended must leave. Takes NULL. */
void guests_look(struct guests *guests);

/** The session has other permissions. Takes NULL. */
void guests_update(struct guests *guests, const struct session *session);

#endif
