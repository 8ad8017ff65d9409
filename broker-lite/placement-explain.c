/* How placement decides, for people. */
#include <stdlib.h>

#include "broker-lite/placement.h"
#include "common/cleanup.h"
#include "common/json.h"

/* Append why not. */
static int append_reason(struct server_list *servers, const struct server *server,
			 const struct placement_wish *wish, enum placement_obstacle obstacle,
			 unsigned long long now_ms, struct buf *ret, struct error *err)
{
	switch (obstacle) {
	case OBSTACLE_NONE:
	case N_OBSTACLES:
		return 0;
	case OBSTACLE_UNAVAILABLE:
		return buf_append_text(ret, server_unavailability(server), err);
	case OBSTACLE_REFUSED:
		return buf_append_text(ret, "refused the last creation, and has not reported since",
				       err);
	case OBSTACLE_SET_BACK:
		return buf_printf(ret, err,
				  "set back for another %llu s, because creations failed there",
				  (setback_left_ms(&server->setback, now_ms) + 999) / 1000);
	case OBSTACLE_PROBING:
		return buf_append_text(ret, "was set back, and a probe is being created there",
				       err);
	case OBSTACLE_SYSTEM:
		return buf_append_text(
			ret, "its operating system does not support what is asked for", err);
	case OBSTACLE_CONSOLE:
		return buf_append_text(ret, "a console session has a server for itself", err);
	case OBSTACLE_USER_LIMIT:
		return buf_printf(ret, err,
				  "the owner has %lld sessions there, as many as a user may",
				  server->max_per_user);
	case OBSTACLE_REQUIREMENTS:
		if (buf_append_text(ret, "Requirements: ", err) < 0)
			return -1;
		return requirements_explain(wish->requirements, &servers->attributes, server->row,
					    ret, err);
	}
	return 0;
}

static int explain_server(struct server_list *servers, struct server *server,
			  const struct placement_wish *wish, const struct server *chosen,
			  unsigned long long now_ms, struct buf *text, json_t *result,
			  struct error *err)
{
	enum placement_obstacle obstacle;
	AUTO(buf_done) struct buf reason = {0};
	const char *verdict = "no";
	json_t *object;

	if (placement_check(servers, server, wish, now_ms, &obstacle, err) < 0 ||
	    append_reason(servers, server, wish, obstacle, now_ms, &reason, err) < 0)
		return -1;
	if (obstacle == OBSTACLE_NONE)
		verdict = server == chosen ? "chosen" : "yes";
	object = json_pack("{s:s,s:s,s:i,s:i,s:f,s:i}", "ServerId", server->id, "Verdict", verdict,
			   "ConsoleSessionCount", (int)server->n_console, "VirtualSessionCount",
			   (int)server->n_virtual, "LoadOneMinute", server->load, "RecentFailures",
			   (int)server->setback.n_failures);
	json_set_text(object, "Reason", reason.data);
	if (json_array_append_new(result, object) < 0)
		return error_oom(err);
	return buf_printf(text, err, "%-6s %s (sessions=%u, load=%.2f, failures=%u)%s%s\n", verdict,
			  server->id, server->n_console + server->n_virtual, server->load,
			  server->setback.n_failures, reason.len > 0 ? ": " : "",
			  reason.data ? reason.data : "");
}

int placement_explain(struct server_list *servers, const struct placement_wish *wish,
		      unsigned long long now_ms, struct buf *ret_text, json_t **ret_result,
		      struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *result = json_array();
	struct server *chosen = NULL;

	if (wish && placement_choose(servers, NULL, wish, NULL, now_ms, &chosen, err) < 0)
		return -1;
	for (size_t i = 0; i < servers->by_id.n; i++) {
		struct server *server = servers->by_id.items[i];

		if (server->report &&
		    explain_server(servers, server, wish, chosen, now_ms, &text, result, err) < 0)
			return -1;
	}
	if (json_array_size(result) == 0 && buf_append_text(&text, "no servers\n", err) < 0)
		return -1;
	*ret_text = text;
	text = (struct buf){0};
	*ret_result = TAKE(result);
	return 0;
}
