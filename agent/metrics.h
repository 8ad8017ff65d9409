/**
 * What the agent counts, and its numbers as Prometheus reads them.
 *
 * Counters are kept here by whoever has something to count; all that can be looked up is looked up
 * when it is asked for. The names begin with dcvsm_agent_; those of the process itself are the ones that
 * Prometheus' own libraries use. Nobody's name is told. Served at metrics_port, see metrics-port.h.
 */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include <stdbool.h>

#include "common/error.h"
#include "common/exposition.h"
#include "common/histogram.h"
#include "common/operations.h"

struct metrics {
	struct histogram operations[N_OPERATIONS]; /* each element by itself */
	unsigned long long n_failed[N_OPERATIONS]; /* of these */
	struct histogram creations;                /* from the request to READY */
	unsigned long long n_failed_creations[2];  /* the host's fault, the request's */
};

void metrics_init(struct metrics *metrics);

/** One element of a request, of the local socket or of the broker, has its answer. */
void metrics_count_operation(struct metrics *metrics, const struct operation *op, bool has_failed,
			     double seconds);

/** A session is READY for the first time. */
void metrics_count_creation(struct metrics *metrics, double seconds);

/** One that was begun will never be. */
void metrics_count_failed_creation(struct metrics *metrics, enum error_code code);

/** Append what is counted here. */
void metrics_append_counted(const struct metrics *metrics, struct exposition *e);

/** Append everything; @userdata is the agent. For metrics-port.h. */
void metrics_append(struct exposition *e, void *userdata);

#endif
