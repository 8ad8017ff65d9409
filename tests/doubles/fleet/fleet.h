/** All simulated agents, and whose turn it is to connect. */
#ifndef FLEET_FLEET_H
#define FLEET_FLEET_H

#include "common/list.h"
#include "common/text.h"
#include "tests/doubles/fleet/agent.h"
#include "tests/doubles/fleet/template.h"

struct fleet {
	struct loop *loop;
	struct broker broker;
	unsigned long long interval_ms; /* between reports */
	unsigned parallel;              /* most that connect at a time */
	char boot_id[UUID_SIZE];

	struct agent *agents;
	size_t n_agents;
	struct list waiting; /* struct agent::waiting, in LINK_WAITING */
	unsigned n_connecting;
	bool is_calling; /* the next ones are being called already */
	size_t n_settled;
	unsigned long long n_failures,
		told_ms; /* attempts to connect; of the last line about them */
	/** Every agent's first report was acknowledged, or will not be. Called once. */
	void (*on_settled)(void *userdata);
	void *userdata;
};

/**
 * @count agents of each template. The fields loop, broker, interval_ms, parallel, on_settled and
 * userdata are set already. What fails half-way is for fleet_stop() and fleet_done() too.
 */
int fleet_init(struct fleet *fleet, struct template_list *templates, unsigned count,
	       struct error *err);
void fleet_start(struct fleet *fleet);
void fleet_stop(struct fleet *fleet);
void fleet_done(struct fleet *fleet);

struct agent *fleet_find(const struct fleet *fleet, const char *server_id);

/** @agent wants to connect: agent_connect() is called when it is its turn. */
void fleet_enqueue(struct fleet *fleet, struct agent *agent);

/** It is linked, or could not be. Harmless if it has no turn. */
void fleet_end_turn(struct fleet *fleet, struct agent *agent);

/** It could not connect. A line a second stands for all that fail alike. */
void fleet_tell_failure(struct fleet *fleet, const struct agent *agent, const struct error *err);

/** It has had its first report acknowledged, or is not to be waited for. */
void fleet_settle(struct fleet *fleet, struct agent *agent);

#endif
