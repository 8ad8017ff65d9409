/**
 * Where a session goes: of the servers that can take it the one with the fewest sessions, then the
 * lowest load, then the least id. For a console session one where the owner is logged in comes before
 * all others. Source: the API reference, "Placement, queue, retry".
 */
#ifndef BROKER_PLACEMENT_H
#define BROKER_PLACEMENT_H

#include "broker-lite/requirements.h"
#include "broker-lite/server-list.h"

/** What a session needs of its server, read once from its request. */
struct placement_wish {
	const char *owner; /* borrowed from the request */
	bool is_console;
	bool needs_windows;                /* some features exist there only */
	struct requirements *requirements; /* owned; NULL: any server */
};

/** Why a server cannot take a session now. */
enum placement_obstacle {
	OBSTACLE_NONE,
	OBSTACLE_UNAVAILABLE, /* as DescribeServers tells */
	OBSTACLE_REFUSED,     /* it said that it is full, and has not reported since */
	OBSTACLE_SET_BACK,    /* creations keep failing there */
	OBSTACLE_PROBING,     /* the same, and one is on its way that will tell */
	OBSTACLE_SYSTEM,      /* its operating system does not have what is asked for */
	OBSTACLE_CONSOLE, /* there is a console session, or one is asked for and there are others */
	OBSTACLE_USER_LIMIT, /* the owner has as many sessions there as a user may */
	OBSTACLE_REQUIREMENTS,
	N_OBSTACLES
};

/** @request: an element of CreateSessions, well-formed; it must outlive the wish. */
int placement_wish_new(const json_t *request, struct placement_wish **ret, struct error *err);

/** Takes NULL; returns NULL. */
struct placement_wish *placement_wish_free(struct placement_wish *wish);

/** What keeps @server from taking it at @now_ms (loop_now_ms()). Fails for memory only. */
int placement_check(struct server_list *servers, const struct server *server,
		    const struct placement_wish *wish, unsigned long long now_ms,
		    enum placement_obstacle *ret, struct error *err);

/**
 * The best of all servers, or of those in @among (server::changed) if that is not NULL; *ret is
 * NULL if none fits. @avoid: ids of servers to take only if there is no other, or NULL.
 */
int placement_choose(struct server_list *servers, struct list *among,
		     const struct placement_wish *wish, const json_t *avoid,
		     unsigned long long now_ms, struct server **ret, struct error *err);

/**
 * After placement_choose() has found nothing: what keeps @wish from the server that comes nearest, in
 * the order in which obstacles are looked at. OBSTACLE_NONE: no server is listed.
 */
enum placement_obstacle placement_nearest_obstacle(const struct server_list *servers,
						   const struct placement_wish *wish,
						   unsigned long long now_ms);

/**
 * Tell people how a session is placed: for every server, by id, whether it could take it and if not,
 * why not. @wish NULL: what would keep any session away. *ret_text and *ret_result are the same
 * once as lines and once as JSON; both are for the caller to release.
 */
int placement_explain(struct server_list *servers, const struct placement_wish *wish,
		      unsigned long long now_ms, struct buf *ret_text, json_t **ret_result,
		      struct error *err);

#endif
