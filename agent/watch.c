#include "agent/watch.h"

#include <stdlib.h>
#include <string.h>

#include "agent/inventory.h"
#include "agent/logged-in.h"
#include "common/log.h"

/* What the other thread finds. It touches nothing else. */
struct findings {
	char address[64], dns_name[256];
	json_t *users;
};

struct watch {
	struct agent *agent; /* NULL once the loop stops */
	const struct agent_config *config;
	struct timer *timer;
	bool is_looking;
	const char *reason; /* of being unavailable, as it was last time; a literal, or NULL */
	struct findings last, found;
};

static void look(void *userdata)
{
	struct watch *w = userdata;

	w->found = (struct findings){0};
	inventory_address(w->config->preferred_network_interface, w->found.address,
			  sizeof(w->found.address));
	/* a resolver is not to be asked every few seconds what it has answered */
	if (strcmp(w->found.address, w->last.address) == 0)
		memcpy(w->found.dns_name, w->last.dns_name, sizeof(w->found.dns_name));
	else
		inventory_dns_name(w->found.dns_name, sizeof(w->found.dns_name));
	if (w->config->query_logged_in_users)
		w->found.users = logged_in_users("");
}

static void on_looked(void *userdata)
{
	struct watch *w = userdata;
	bool is_news = false;

	w->is_looking = false;
	if (!w->agent) {
		json_decref(w->found.users);
		return;
	}
	if (server_set_address(&w->agent->server, w->found.address, w->found.dns_name)) {
		log_info("this host is %s (%s)", w->found.dns_name, w->found.address);
		is_news = true;
	}
	if (w->found.users) {
		is_news = is_news || !json_equal(w->found.users, w->agent->server.inventory.users);
		inventory_set_users(&w->agent->server.inventory, w->found.users);
	}
	w->last = w->found;
	if (is_news)
		w->agent->on_change(w->agent->userdata);
}

static void check_availability(struct watch *w)
{
	struct engine *engine = w->agent->engine;
	const char *reason = server_unavailability(&w->agent->server);
	struct error err;

	if ((!reason && !w->reason) || (reason && w->reason && strcmp(reason, w->reason) == 0))
		return;
	w->reason = reason;
	if (engine->ops->check(engine, &err) < 0)
		log_error("this host can begin no sessions: %s", err.message);
	else
		log_info("this host is %s", reason ? reason : "AVAILABLE");
	w->agent->on_change(w->agent->userdata);
}

static void on_timer(void *userdata)
{
	struct watch *w = userdata;
	struct error err;

	check_availability(w);
	if (w->is_looking)
		return;
	w->is_looking = true;
	if (loop_work(w->agent->loop, look, on_looked, w, &err) < 0) {
		w->is_looking = false;
		log_error("look at this host: %s", err.message);
	}
}

struct watch *watch_new(struct agent *agent, struct error *err)
{
	struct watch *w = calloc(1, sizeof(*w));
	unsigned long long report_ms = (unsigned long long)agent->config->broker_update_interval *
				       1000;

	if (w)
		w->timer = timer_new(agent->loop, on_timer, w);
	if (!w || !w->timer) {
		free(w);
		(void)error_oom(err);
		return NULL;
	}
	w->agent = agent;
	w->config = agent->config;
	timer_start(w->timer, 0, report_ms < WATCH_INTERVAL_MS ? report_ms : WATCH_INTERVAL_MS);
	return w;
}

void watch_stop(struct watch *w)
{
	if (!w)
		return;
	timer_free(w->timer);
	w->timer = NULL;
	w->agent = NULL;
}

void watch_free(struct watch *w)
{
	free(w);
}
