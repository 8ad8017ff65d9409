#include "agent/viewer/room.h"

#include <stdlib.h>
#include <string.h>

struct room *room_enter(struct list *rooms, struct loop *loop, const char *session_id)
{
	struct room *room;

	list_for_each (known, rooms, struct room, link) {
		if (strcmp(known->session_id, session_id) == 0)
			return known;
	}
	room = calloc(1, sizeof(*room));
	if (room)
		room->session_id = strdup(session_id);
	if (!room || !room->session_id) {
		free(room);
		return NULL;
	}
	storage_init(&room->storage, loop);
	list_init(&room->clients);
	list_append(rooms, &room->link);
	return room;
}

void room_leave(struct room *room)
{
	if (!list_is_empty(&room->clients))
		return;
	storage_done(&room->storage);
	list_remove(&room->link);
	free(room->session_id);
	free(room);
}
