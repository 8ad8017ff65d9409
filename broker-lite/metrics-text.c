/* What is looked up when the metrics are asked for. */
#include <malloc.h>
#include <string.h>

#include "broker-lite/broker.h"
#include "broker-lite/command.h"
#include "broker-lite/metrics.h"
#include "common/cleanup.h"
#include "common/log.h"

struct session_counts {
	size_t by_state[N_STATES][2]; /* VIRTUAL, CONSOLE */
	size_t n_virtual, n_console;  /* not deleted */
};

static struct session_counts count_sessions(const struct session_list *sessions)
{
	struct session_counts counts = {.n_virtual = 0};

	for (size_t i = 0; i < sessions->by_id.n; i++) {
		const struct session *session = sessions->by_id.items[i];

		if (session->is_hidden)
			continue;
		counts.by_state[session->state][session->is_console]++;
		if (session->state != DELETED && session->is_console)
			counts.n_console++;
		else if (session->state != DELETED)
			counts.n_virtual++;
	}
	return counts;
}

static void append_sessions(const struct session_counts *counts, struct exposition *e)
{
	exposition_family(e, "dcvsm_sessions", "gauge", "Sessions that are described.");
	for (size_t state = 0; state < N_STATES; state++) {
		const char *name = session_state_name((enum session_state)state);

		exposition_add(e, LABELS({"state", name}, {"type", "VIRTUAL"}),
			       (double)counts->by_state[state][0]);
		exposition_add(e, LABELS({"state", name}, {"type", "CONSOLE"}),
			       (double)counts->by_state[state][1]);
	}
}

/* --- servers -----------------------------------------------------------------------------------
 */

static const char *const unavailabilities[] = {"",
					       "SERVER_FULL",
					       "SERVER_CLOSED",
					       "UNREACHABLE_AGENT",
					       "UNHEALTHY_DCV_SERVER",
					       "EXISTING_LOGGED_IN_USER",
					       "UNKNOWN"}; /* the first: AVAILABLE */

struct server_counts {
	size_t by_reason[ARRAY_SIZE(unavailabilities)];
	size_t n;
	unsigned long long n_leaked;
};

static struct server_counts count_servers(const struct server_list *servers)
{
	struct server_counts counts = {.n = 0};

	for (size_t i = 0; i < servers->by_id.n; i++) {
		const struct server *server = servers->by_id.items[i];
		const char *reason;
		size_t at = 0;

		if (!server->report)
			continue;
		reason = server_unavailability(server);
		while (reason && at + 1 < ARRAY_SIZE(unavailabilities) &&
		       strcmp(unavailabilities[at], reason) != 0)
			at++;
		counts.by_reason[at]++;
		counts.n++;
		counts.n_leaked += server->n_leaked;
	}
	return counts;
}

static void append_servers(const struct server_counts *counts, struct exposition *e)
{
	exposition_family(e, "dcvsm_servers", "gauge",
			  "Servers that are described, by availability and why they have none.");
	for (size_t i = 0; i < ARRAY_SIZE(unavailabilities); i++)
		exposition_add(e,
			       LABELS({"availability", i == 0 ? "AVAILABLE" : "UNAVAILABLE"},
				      {"reason", unavailabilities[i]}),
			       (double)counts->by_reason[i]);
	exposition_single(e, "dcvsm_leaked_processes", "gauge",
			  "Processes of ended sessions that do not end, as the agents report.",
			  (double)counts->n_leaked);
}

/* --- what is on its way ------------------------------------------------------------------------
 */

static void append_queue(const struct creation *creation, struct exposition *e)
{
	long long now_ms = time_now_ms(), age_ms = 0;

	list_for_each (session, &creation->waiting, struct session, waiting) {
		if (now_ms - session->accepted_ms > age_ms)
			age_ms = now_ms - session->accepted_ms;
	}
	exposition_single(e, "dcvsm_create_queue_length", "gauge",
			  "Accepted creations that wait for a server.",
			  (double)creation->n_waiting);
	exposition_single(e, "dcvsm_create_queue_oldest_age_seconds", "gauge",
			  "How long the oldest of them has waited; 0: none waits.",
			  (double)age_ms / 1000);
}

static void append_links(struct agent_list *agents, struct exposition *e)
{
	size_t n_linked = 0, n_in_flight = 0;

	list_for_each (agent, &agents->agents, struct agent, link) {
		n_linked += agent->ws != NULL;
		for (const struct list *at = agent->pending.next; at != &agent->pending;
		     at = at->next)
			n_in_flight++;
	}
	exposition_single(e, "dcvsm_agents_linked", "gauge", "Agents whose link stands.",
			  (double)n_linked);
	exposition_single(e, "dcvsm_relay_in_flight", "gauge",
			  "Commands to agents that have no answer yet.", (double)n_in_flight);
}

static void append_traffic(const struct broker *broker, struct exposition *e)
{
	exposition_single(e, "dcvsm_requests_in_progress", "gauge",
			  "Requests on the ports for clients and agents that have no answer yet.",
			  (double)(http_server_n_open(broker->client_server) +
				   http_server_n_open(broker->agent_server)));
	exposition_single(e, "dcvsm_throttled_requests_total", "counter",
			  "Requests refused with 429, see max-api-requests-per-second.",
			  (double)broker->throttle->n_refused);
}

/* --- the broker itself -------------------------------------------------------------------------
 */

static void append_certificates(const struct broker *broker, struct exposition *e)
{
	static const char *const names[N_LISTENERS] = {
		[LISTENER_CLIENT] = "client",
		[LISTENER_AGENT] = "agent",
		[LISTENER_GATEWAY] = "gateway",
	};
	const struct security *security = broker->security;

	exposition_family(e, "dcvsm_certificate_left_seconds", "gauge",
			  "Time until the certificate of a port expires; 86400 are a day.");
	for (size_t i = 0; i < N_LISTENERS; i++) {
		if (i != LISTENER_GATEWAY || broker->gateway_server)
			exposition_add(e, LABELS({"listener", names[i]}),
				       security_days_left(security, (enum security_listener)i) *
					       86400);
	}
	exposition_single(e, "dcvsm_authority_left_seconds", "gauge",
			  "Time until the broker's own authority expires; 0: it has none.",
			  security_authority_days_left(security) * 86400);
}

static void append_files(const struct broker *broker, struct exposition *e)
{
	exposition_family(e, "dcvsm_store_commit_duration_seconds", "histogram",
			  "Time that a group of changes takes to be on disk.");
	exposition_add_histogram(e, NO_LABELS, store_latency(broker->store));
	exposition_single(e, "dcvsm_store_up", "gauge", "1: what was written last is on disk.",
			  store_down_since_ms(broker->store) == 0);
	exposition_single(e, "dcvsm_log_lines_dropped_total", "counter",
			  "Lines that could not be written to broker.log.",
			  (double)log_n_dropped());
	exposition_single(e, "dcvsm_audit_lines_dropped_total", "counter",
			  "Lines that could not be written to audit.log.",
			  (double)audit_n_dropped(&broker->audit));
}

/* What the original sends to CloudWatch, but for the times. */
static void append_cloud_watch(const struct broker *broker, const struct session_counts *sessions,
			       const struct server_counts *servers, struct exposition *e)
{
	const struct label *fleet = LABELS({"fleet", broker->config.fleet_name});
	struct mallinfo2 memory = mallinfo2();
	const struct {
		const char *name, *help;
		double value;
	} gauges[] = {
		{"dcvsm_number_of_dcv_servers", "Servers known.", (double)servers->n},
		{"dcvsm_number_of_ready_dcv_servers", "Servers that are AVAILABLE.",
		 (double)servers->by_reason[0]},
		{"dcvsm_number_of_dcv_sessions", "Sessions that are not DELETED.",
		 (double)(sessions->n_virtual + sessions->n_console)},
		{"dcvsm_number_of_dcv_console_sessions", "Of these, console sessions.",
		 (double)sessions->n_console},
		{"dcvsm_number_of_dcv_virtual_sessions", "Of these, virtual sessions.",
		 (double)sessions->n_virtual},
		{"dcvsm_heap_memory_used_bytes", "Memory in use by the allocator.",
		 (double)memory.uordblks + (double)memory.hblkhd},
		{"dcvsm_off_heap_memory_used_bytes", "Size of the state store.",
		 (double)store_size_bytes(broker->store)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(gauges); i++) {
		exposition_family(e, gauges[i].name, "gauge", gauges[i].help);
		exposition_add(e, fleet, gauges[i].value);
	}
}

void metrics_append(struct exposition *e, void *userdata)
{
	struct broker *broker = userdata;
	struct session_counts sessions = count_sessions(&broker->fleet.sessions);
	struct server_counts servers = count_servers(&broker->fleet.servers);

	exposition_family(e, "dcvsm_build_info", "gauge", "The program that runs; always 1.");
	exposition_add(e, LABELS({"version", VERSION}), 1);
	exposition_single(e, "dcvsm_start_time_seconds", "gauge",
			  "When the broker was started, since 1970.",
			  (double)broker->metrics.started_s);
	append_sessions(&sessions, e);
	append_servers(&servers, e);
	append_queue(&broker->fleet.creation, e);
	append_links(&broker->agents, e);
	append_traffic(broker, e);
	append_certificates(broker, e);
	append_files(broker, e);
	exposition_family(e, "dcvsm_loop_turn_duration_seconds", "histogram",
			  "For how long at a time the broker was busy, and served nobody else.");
	exposition_add_histogram(e, NO_LABELS, &broker->loop.turns);
	append_cloud_watch(broker, &sessions, &servers, e);
	metrics_append_counted(&broker->metrics, broker->config.fleet_name, e);
}

void command_metrics(struct broker *broker, const json_t *options, struct http_request *request)
{
	struct buf text = {0};
	struct error err = {0};
	json_t *result;

	(void)options;
	if (metrics_text(metrics_append, broker, &text, &err) < 0) {
		command_fail(request, &err);
		return;
	}
	result = json_pack("{s:s}", "metrics", text.data);
	command_reply(request, &text, result);
}
