#include "broker-lite/metrics.h"

#include "common/cleanup.h"
#include "common/text.h"

static const int statuses[METRICS_STATUSES] = {200, 201, 400, 401, 403, 404,
					       405, 409, 413, 429, 500, 503};

void metrics_init(struct metrics *metrics)
{
	*metrics = (struct metrics){.started_s = time_now_ms() / 1000};
	for (size_t i = 0; i < N_ENDPOINTS; i++)
		metrics->requests[i].bounds = &histogram_of_requests;
	for (size_t i = 0; i < N_PHASES; i++)
		metrics->phases[i].bounds = &histogram_of_creations;
}

void metrics_count_request(struct metrics *metrics, enum metrics_endpoint endpoint, int status,
			   double seconds)
{
	size_t i = 0;

	while (i < METRICS_STATUSES && statuses[i] != status)
		i++;
	metrics->statuses[endpoint][i]++;
	histogram_add(&metrics->requests[endpoint], seconds);
}

void metrics_count_refusal(struct metrics *metrics, enum placement_refusal refusal)
{
	metrics->refusals[refusal]++;
}

void metrics_count_phase(struct metrics *metrics, enum create_phase phase, double seconds)
{
	histogram_add(&metrics->phases[phase], seconds);
}

/* --- as text -----------------------------------------------------------------------------------
 */

static const char *endpoint_name(size_t endpoint)
{
	static const char *const names[N_ENDPOINTS] = {
		[ENDPOINT_TOKEN] = "Token",
		[ENDPOINT_HEALTH] = "Health",
		[ENDPOINT_API_FILE] = "ApiFile",
		[ENDPOINT_AGENT_TOKEN] = "AgentToken",
		[ENDPOINT_AGENT_REGISTRATION] = "AgentRegistration",
		[ENDPOINT_TOKEN_CHECK] = "TokenCheck",
		[ENDPOINT_OTHER] = "other",
	};

	return endpoint < N_OPERATIONS ? operations[endpoint].name : names[endpoint];
}

static void append_requests(const struct metrics *metrics, struct exposition *e)
{
	char status[16];

	exposition_family(e, "dcvsm_requests_total", "counter",
			  "Requests answered, by operation and HTTP status.");
	for (size_t i = 0; i < N_ENDPOINTS; i++) {
		for (size_t j = 0; j <= METRICS_STATUSES; j++) {
			if (metrics->statuses[i][j] == 0)
				continue;
			(void)snprintf(status, sizeof(status), "%d",
				       j < METRICS_STATUSES ? statuses[j] : 0);
			exposition_add(e,
				       LABELS({"operation", endpoint_name(i)},
					      {"status", j < METRICS_STATUSES ? status : "other"}),
				       (double)metrics->statuses[i][j]);
		}
	}
	exposition_family(e, "dcvsm_request_duration_seconds", "histogram",
			  "Time from a whole request to its answer, by operation.");
	for (size_t i = 0; i < N_ENDPOINTS; i++)
		exposition_add_histogram(e, LABELS({"operation", endpoint_name(i)}),
					 &metrics->requests[i]);
}

static void append_creations(const struct metrics *metrics, struct exposition *e)
{
	static const char *const refusals[N_REFUSALS] = {
		[REFUSAL_NO_SERVER] = "no_server",
		[OBSTACLE_UNAVAILABLE] = "server_unavailable",
		[OBSTACLE_REFUSED] = "server_refused",
		[OBSTACLE_SET_BACK] = "server_set_back",
		[OBSTACLE_PROBING] = "server_probed",
		[OBSTACLE_SYSTEM] = "operating_system",
		[OBSTACLE_CONSOLE] = "console_session",
		[OBSTACLE_USER_LIMIT] = "user_limit",
		[OBSTACLE_REQUIREMENTS] = "requirements",
		[REFUSAL_QUEUE_FULL] = "queue_full",
		[REFUSAL_WAITED_TOO_LONG] = "waited_too_long",
	};
	static const char *const phases[N_PHASES] = {
		[PHASE_QUEUED] = "queued", [PHASE_PLACED] = "placed", [PHASE_READY] = "ready"};

	exposition_family(e, "dcvsm_placement_refusals_total", "counter",
			  "Creations that found no server: what kept them from the server that "
			  "came nearest.");
	for (size_t i = 0; i < N_REFUSALS; i++)
		exposition_add(e, LABELS({"reason", refusals[i]}), (double)metrics->refusals[i]);
	exposition_family(e, "dcvsm_create_phase_duration_seconds", "histogram",
			  "Creation of sessions: queued until the first server is found, placed "
			  "until its agent answers, ready from acceptance to READY.");
	for (size_t i = 0; i < N_PHASES; i++)
		exposition_add_histogram(e, LABELS({"phase", phases[i]}), &metrics->phases[i]);
}

/* What the original sends to CloudWatch about requests. */
static void append_request_times(const struct metrics *metrics, const char *fleet,
				 struct exposition *e)
{
	static const struct {
		enum operation_id operation;
		const char *name;
	} times[] = {
		{OPERATION_describe_sessions, "dcvsm_describe_sessions_request_time_seconds"},
		{OPERATION_delete_sessions, "dcvsm_delete_sessions_request_time_seconds"},
		{OPERATION_create_sessions, "dcvsm_create_sessions_request_time_seconds"},
		{OPERATION_get_session_connection_data,
		 "dcvsm_get_session_connection_data_request_time_seconds"},
		{OPERATION_update_session_permissions,
		 "dcvsm_update_session_permissions_request_time_seconds"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		exposition_family(e, times[i].name, "summary",
				  "Duration of the operation; what CloudWatch gets, in "
				  "milliseconds there.");
		exposition_add_summary(e, LABELS({"fleet", fleet}),
				       &metrics->requests[times[i].operation]);
	}
}

void metrics_append_counted(const struct metrics *metrics, const char *fleet, struct exposition *e)
{
	append_requests(metrics, e);
	append_creations(metrics, e);
	append_request_times(metrics, fleet, e);
}
