/**
 * What the broker counts, and its numbers as Prometheus reads them.
 *
 * Counters are kept here by whoever has something to count; all that can be looked up is looked up
 * when it is asked for. The names begin with dcvsm_; `dcv-session-manager-broker metrics` explains
 * each. What the original sends to CloudWatch is among them, by the names of there in lower case with
 * '_' for blanks and a unit at the end: "Number of ready DCV servers" is
 * dcvsm_number_of_ready_dcv_servers, "Describe sessions request time" the summary
 * dcvsm_describe_sessions_request_time_seconds. Source: the administrator reference, "Metrics".
 *
 * The port (metrics-port) listens on 127.0.0.1, without TLS and without authorization: it is for a
 * collector on the host, and tells nobody's name. It is off unless it is set, because no port is free
 * on every host.
 */
#ifndef BROKER_METRICS_H
#define BROKER_METRICS_H

#include "broker-lite/placement.h"
#include "common/buf.h"
#include "common/exposition.h"
#include "common/histogram.h"
#include "common/operations.h"

struct broker;

/** What is asked for besides the operations of the API. */
enum metrics_endpoint {
	ENDPOINT_TOKEN = N_OPERATIONS,
	ENDPOINT_HEALTH,
	ENDPOINT_API_FILE,
	ENDPOINT_AGENT_TOKEN,
	ENDPOINT_AGENT_REGISTRATION,
	ENDPOINT_TOKEN_CHECK,
	ENDPOINT_OTHER,
	N_ENDPOINTS
};

enum create_phase {
	PHASE_QUEUED, /* from its acceptance to its first server */
	PHASE_PLACED, /* from a server to the answer of that one's agent */
	PHASE_READY,  /* from its acceptance to READY */
	N_PHASES
};

/** Why a creation found no place; those of a server are enum placement_obstacle. */
enum placement_refusal {
	REFUSAL_NO_SERVER = OBSTACLE_NONE, /* none is there at all */
	REFUSAL_QUEUE_FULL = N_OBSTACLES,
	REFUSAL_WAITED_TOO_LONG,
	N_REFUSALS
};

#define METRICS_STATUSES 12

struct metrics {
	struct histogram requests[N_ENDPOINTS];
	unsigned long long statuses[N_ENDPOINTS][METRICS_STATUSES + 1]; /* the last: all others */
	unsigned long long refusals[N_REFUSALS];
	struct histogram phases[N_PHASES];
	long long started_s; /* by the clock */
};

void metrics_init(struct metrics *metrics);

/** A request was answered. */
void metrics_count_request(struct metrics *metrics, enum metrics_endpoint endpoint, int status,
			   double seconds);

/** A creation was refused, or has waited for nothing. */
void metrics_count_refusal(struct metrics *metrics, enum placement_refusal refusal);

void metrics_count_phase(struct metrics *metrics, enum create_phase phase, double seconds);

/** Append what is counted here. @fleet: the label of what CloudWatch gets. */
void metrics_append_counted(const struct metrics *metrics, const char *fleet, struct exposition *e);

/** Append everything; @userdata is the broker. For metrics-port.h. */
void metrics_append(struct exposition *e, void *userdata);

#endif
