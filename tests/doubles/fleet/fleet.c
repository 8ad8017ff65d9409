#include "tests/doubles/fleet/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define TELL_MS 1000

/* A loop, not a recursion: an agent may fail at once, and end its turn within agent_connect(). */
static void call_next(struct fleet *fleet)
{
	if (fleet->is_calling)
		return;
	fleet->is_calling = true;
	while (fleet->n_connecting < fleet->parallel && !list_is_empty(&fleet->waiting)) {
		struct agent *agent = list_entry(fleet->waiting.next, struct agent, waiting);

		list_remove(&agent->waiting);
		agent->has_turn = true;
		fleet->n_connecting++;
		agent_connect(agent);
	}
	fleet->is_calling = false;
}

void fleet_enqueue(struct fleet *fleet, struct agent *agent)
{
	agent->link = LINK_WAITING;
	list_append(&fleet->waiting, &agent->waiting);
	call_next(fleet);
}

void fleet_end_turn(struct fleet *fleet, struct agent *agent)
{
	if (!agent->has_turn)
		return;
	agent->has_turn = false;
	fleet->n_connecting--;
	call_next(fleet);
}

void fleet_tell_failure(struct fleet *fleet, const struct agent *agent, const struct error *err)
{
	unsigned long long now_ms = loop_now_ms(fleet->loop);

	fleet->n_failures++;
	if (fleet->n_failures > 1 && now_ms - fleet->told_ms < TELL_MS)
		return;
	fleet->told_ms = now_ms;
	log_warning("%s cannot link to the broker (failures=%llu): %s", agent->id,
		    fleet->n_failures, err->message);
}

void fleet_settle(struct fleet *fleet, struct agent *agent)
{
	if (agent->is_settled)
		return;
	agent->is_settled = true;
	if (++fleet->n_settled == fleet->n_agents)
		fleet->on_settled(fleet->userdata);
}

struct agent *fleet_find(const struct fleet *fleet, const char *server_id)
{
	for (size_t i = 0; i < fleet->n_agents; i++) {
		if (strcmp(fleet->agents[i].id, server_id) == 0)
			return &fleet->agents[i];
	}
	return NULL;
}

static int add_agents(struct fleet *fleet, struct template_list *templates, struct template *t,
		      unsigned count, struct error *err)
{
	for (unsigned number = 1; number <= count; number++) {
		json_t *server = template_make_server(templates, t, number, count, err);

		if (!server)
			return -1;
		if (agent_init(&fleet->agents[fleet->n_agents++], fleet, server, &t->behaviour,
			       err) < 0)
			return -1;
	}
	return 0;
}

int fleet_init(struct fleet *fleet, struct template_list *templates, unsigned count,
	       struct error *err)
{
	uuid_make(fleet->boot_id);
	list_init(&fleet->waiting);
	fleet->agents = calloc(templates->n_templates * count, sizeof(struct agent));
	if (!fleet->agents)
		return error_oom(err);
	for (size_t i = 0; i < templates->n_templates; i++) {
		if (add_agents(fleet, templates, &templates->templates[i], count, err) < 0)
			return error_prefix(err, "element %zu", i);
	}
	return 0;
}

void fleet_start(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n_agents; i++)
		fleet_enqueue(fleet, &fleet->agents[i]);
}

void fleet_stop(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n_agents; i++)
		agent_stop(&fleet->agents[i]);
}

void fleet_done(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->n_agents; i++)
		agent_done(&fleet->agents[i]);
	free(fleet->agents);
}
