#include "broker-lite/placement.h"

#include <string.h>

#include "broker-lite/session.h"

static unsigned sessions_of(const struct server *server, const char *owner)
{
	unsigned n = 0;

	list_for_each (session, &server->sessions, struct session, on_server) {
		if (session->state != DELETED && !session->is_console &&
		    strcmp(session_owner(session), owner) == 0)
			n++;
	}
	return n;
}

static bool has_room(const struct server *server, const struct placement_wish *wish)
{
	/* One console, or virtual ones: sharing is left to hosts that we do not know. */
	if (wish->is_console)
		return server->n_console == 0 && server->n_virtual == 0;
	if (server->family != OS_LINUX || server->n_console > 0)
		return false;
	if (server->max_virtual >= 0 && server->n_virtual >= server->max_virtual)
		return false;
	return server->max_per_user < 0 || sessions_of(server, wish->owner) < server->max_per_user;
}

bool placement_fits(const struct server *server, const struct placement_wish *wish)
{
	if (!server->agent || server->has_refused || server_unavailability(server))
		return false;
	if (wish->needs_windows && server->family != OS_WINDOWS)
		return false;
	if (!has_room(server, wish))
		return false;
	return !wish->requirements || requirements_hold(wish->requirements, server->report);
}

static bool is_avoided(const struct server *server, const struct placement_wish *wish)
{
	for (size_t i = 0; i < json_array_size(wish->avoid); i++) {
		const char *id = json_string_value(json_array_get(wish->avoid, i));

		if (id && strcmp(id, server->id) == 0)
			return true;
	}
	return false;
}

/* Servers are walked by id, so of two that are alike the first one stays. */
static bool is_better(const struct server *a, const struct server *b,
		      const struct placement_wish *wish)
{
	unsigned n_a = a->n_console + a->n_virtual, n_b = b->n_console + b->n_virtual;
	bool avoid_a = is_avoided(a, wish), avoid_b = is_avoided(b, wish);

	if (avoid_a != avoid_b)
		return avoid_b;
	if (n_a != n_b)
		return n_a < n_b;
	return a->load < b->load;
}

struct server *placement_choose(const struct server_list *servers,
				const struct placement_wish *wish)
{
	struct server *best = NULL;

	for (size_t i = 0; i < servers->by_id.n; i++) {
		struct server *server = servers->by_id.items[i];

		if (placement_fits(server, wish) && (!best || is_better(server, best, wish)))
			best = server;
	}
	return best;
}
