#include "broker-lite/placement.h"

#include <stdlib.h>
#include <string.h>

#include "broker-lite/session.h"
#include "common/json.h"
#include "common/requests.h"

int placement_wish_new(const json_t *request, struct placement_wish **ret, struct error *err)
{
	struct create_session_request fields;
	struct placement_wish *wish;

	if (params_read(&create_sessions_params, request, &fields, err) < 0)
		return -1;
	wish = calloc(1, sizeof(*wish));
	if (!wish)
		return error_oom(err);
	wish->owner = fields.owner;
	wish->is_console = strcmp(fields.type, "CONSOLE") == 0;
	wish->needs_windows = wish->is_console && fields.autorun_file;
	if (fields.requirements &&
	    requirements_parse(fields.requirements, &wish->requirements, err) < 0) {
		free(wish);
		return -1;
	}
	*ret = wish;
	return 0;
}

struct placement_wish *placement_wish_free(struct placement_wish *wish)
{
	if (wish)
		requirements_free(wish->requirements);
	free(wish);
	return NULL;
}

/* --- obstacles ---------------------------------------------------------------------------------
 */

static unsigned sessions_of(const struct server *server, const char *owner)
{
	unsigned n = 0;

	list_for_each (session, &server->sessions, struct session, on_server) {
		if (session->state != DELETED && session->is_managed && !session->is_console &&
		    strcmp(session_owner(session), owner) == 0)
			n++;
	}
	return n;
}

static bool is_creating(const struct server *server)
{
	list_for_each (session, &server->sessions, struct session, on_server) {
		if (session->state == CREATING && session->request)
			return true;
	}
	return false;
}

/* What would keep any session away. */
static enum placement_obstacle check_server(const struct server *server, unsigned long long now_ms)
{
	if (!server->agent || server_unavailability(server))
		return OBSTACLE_UNAVAILABLE;
	if (server->has_refused)
		return OBSTACLE_REFUSED;
	if (setback_left_ms(&server->setback, now_ms) > 0)
		return OBSTACLE_SET_BACK;
	if (server->setback.until_ms > 0 && is_creating(server))
		return OBSTACLE_PROBING;
	return OBSTACLE_NONE;
}

/* All but the Requirements. */
static enum placement_obstacle check(const struct server *server, const struct placement_wish *wish,
				     unsigned long long now_ms)
{
	enum placement_obstacle obstacle = check_server(server, now_ms);

	if (obstacle != OBSTACLE_NONE)
		return obstacle;
	if (wish->needs_windows && server->family != OS_WINDOWS)
		return OBSTACLE_SYSTEM;
	if (!wish->is_console && server->family != OS_LINUX)
		return OBSTACLE_SYSTEM;
	/* One console, or virtual ones: sharing is left to hosts that we do not know. */
	if (server->n_console > 0 || (wish->is_console && server->n_virtual > 0))
		return OBSTACLE_CONSOLE;
	if (!wish->is_console && server->max_per_user >= 0 &&
	    sessions_of(server, wish->owner) >= server->max_per_user)
		return OBSTACLE_USER_LIMIT;
	return OBSTACLE_NONE;
}

int placement_check(struct server_list *servers, const struct server *server,
		    const struct placement_wish *wish, unsigned long long now_ms,
		    enum placement_obstacle *ret, struct error *err)
{
	const uint64_t *bits;

	*ret = wish ? check(server, wish, now_ms) : check_server(server, now_ms);
	if (*ret != OBSTACLE_NONE || !wish || !wish->requirements)
		return 0;
	if (requirements_match(wish->requirements, &servers->attributes, server->row, 1, &bits,
			       err) < 0)
		return -1;
	if (!requirements_bit(bits, server->row))
		*ret = OBSTACLE_REQUIREMENTS;
	return 0;
}

/* --- the choice --------------------------------------------------------------------------------
 */

static bool is_avoided(const struct server *server, const json_t *avoid)
{
	for (size_t i = 0; i < json_array_size(avoid); i++) {
		const char *id = json_string_value(json_array_get(avoid, i));

		if (id && strcmp(id, server->id) == 0)
			return true;
	}
	return false;
}

/* A console session is the desktop of somebody who is logged in there. */
static bool is_at_console(const struct server *server, const struct placement_wish *wish)
{
	const json_t *users =
		json_object_get(json_object_get(server->report, "Host"), "LoggedInUsers");

	for (size_t i = 0; wish->is_console && i < json_array_size(users); i++) {
		const char *name = json_get_text(json_array_get(users, i), "Username");

		if (name && strcmp(name, wish->owner) == 0)
			return true;
	}
	return false;
}

/* Negative: @a is the better one. 0: only their ids can tell. */
static int compare(const struct server *a, const struct server *b,
		   const struct placement_wish *wish, const json_t *avoid)
{
	bool here_a = is_at_console(a, wish), here_b = is_at_console(b, wish);
	unsigned n_a = a->n_console + a->n_virtual, n_b = b->n_console + b->n_virtual;
	bool avoid_a = avoid && is_avoided(a, avoid), avoid_b = avoid && is_avoided(b, avoid);

	if (avoid_a != avoid_b)
		return avoid_a ? 1 : -1;
	if (here_a != here_b)
		return here_a ? -1 : 1;
	if (n_a != n_b)
		return n_a < n_b ? -1 : 1;
	return (a->load > b->load) - (a->load < b->load);
}

static bool is_better(const struct server *a, const struct server *b,
		      const struct placement_wish *wish, const json_t *avoid)
{
	int order = compare(a, b, wish, avoid);

	return order < 0 || (order == 0 && strcmp(a->id, b->id) < 0);
}

static int choose_among(struct server_list *servers, struct list *among,
			const struct placement_wish *wish, const json_t *avoid,
			unsigned long long now_ms, struct server **ret, struct error *err)
{
	struct server *best = NULL;

	list_for_each (server, among, struct server, changed) {
		enum placement_obstacle obstacle;

		if (placement_check(servers, server, wish, now_ms, &obstacle, err) < 0)
			return -1;
		if (obstacle == OBSTACLE_NONE && (!best || is_better(server, best, wish, avoid)))
			best = server;
	}
	*ret = best;
	return 0;
}

int placement_choose(struct server_list *servers, struct list *among,
		     const struct placement_wish *wish, const json_t *avoid,
		     unsigned long long now_ms, struct server **ret, struct error *err)
{
	const uint64_t *bits = NULL;
	struct server *best = NULL;

	if (among)
		return choose_among(servers, among, wish, avoid, now_ms, ret, err);
	if (wish->requirements && requirements_match(wish->requirements, &servers->attributes, 0,
						     servers->attributes.n_rows, &bits, err) < 0)
		return -1;
	for (size_t i = 0; i < servers->by_id.n; i++) {
		struct server *server = servers->by_id.items[i];

		/* In the order of their ids; most are told by looking at how full they are. */
		if ((!best || compare(server, best, wish, avoid) < 0) &&
		    check(server, wish, now_ms) == OBSTACLE_NONE &&
		    (!bits || requirements_bit(bits, server->row)))
			best = server;
	}
	*ret = best;
	return 0;
}

enum placement_obstacle placement_nearest_obstacle(const struct server_list *servers,
						   const struct placement_wish *wish,
						   unsigned long long now_ms)
{
	enum placement_obstacle nearest = OBSTACLE_NONE;

	for (size_t i = 0; i < servers->by_id.n; i++) {
		const struct server *server = servers->by_id.items[i];
		enum placement_obstacle obstacle;

		if (!server->report)
			continue;
		obstacle = check(server, wish, now_ms);
		if (obstacle == OBSTACLE_NONE)
			return OBSTACLE_REQUIREMENTS; /* all but these are fulfilled */
		if (obstacle > nearest)
			nearest = obstacle;
	}
	return nearest;
}
