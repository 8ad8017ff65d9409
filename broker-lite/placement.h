/**
 * Where a session goes: of the servers that can take it the one with the fewest sessions, then the
 * lowest load, then the least id. Source: the API reference, "Placement, queue, retry".
 */
#ifndef BROKER_PLACEMENT_H
#define BROKER_PLACEMENT_H

#include "broker-lite/requirements.h"
#include "broker-lite/server-list.h"

struct placement_wish {
	const char *owner;
	bool is_console;
	bool needs_windows;                      /* some features exist there only */
	const struct requirements *requirements; /* NULL: any server */
	const json_t *avoid; /* ids of servers to take only if there is no other; NULL: none */
};

/** Can @server take it, now? */
bool placement_fits(const struct server *server, const struct placement_wish *wish);

/** NULL if no server fits. */
struct server *placement_choose(const struct server_list *servers,
				const struct placement_wish *wish);

#endif
