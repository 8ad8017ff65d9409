/**
 * The clients of one session, who work at the same desktop: what they have in common, and who they are.
 */
#ifndef AGENT_VIEWER_ROOM_H
#define AGENT_VIEWER_ROOM_H

#include "agent/viewer/rfb-input.h"
#include "agent/viewer/storage.h"
#include "common/list.h"

struct room {
	struct list link; /* the viewer's rooms */
	char *session_id;
	struct rfb_keyboard keyboard;
	struct storage storage;
	struct list clients; /* struct client::link */
};

/** The room of a session, made if there is none. NULL without memory. */
struct room *room_enter(struct list *rooms, struct loop *loop, const char *session_id);

/** The last one has left: it goes. Harmless while somebody is in. */
void room_leave(struct room *room);

#endif
