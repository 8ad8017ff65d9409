#include "agent/metrics.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/disk.h"
#include "agent/host-file.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/text.h"

/* --- counting ----------------------------------------------------------------------------------
 */

void metrics_init(struct metrics *metrics)
{
	*metrics = (struct metrics){.creations = {.bounds = &histogram_of_creations}};
	for (size_t i = 0; i < N_OPERATIONS; i++)
		metrics->operations[i].bounds = &histogram_of_requests;
}

void metrics_count_operation(struct metrics *metrics, const struct operation *op, bool has_failed,
			     double seconds)
{
	if (op->id == N_OPERATIONS) /* beyond the API */
		return;
	histogram_add(&metrics->operations[op->id], seconds);
	metrics->n_failed[op->id] += has_failed;
}

void metrics_count_creation(struct metrics *metrics, double seconds)
{
	histogram_add(&metrics->creations, seconds > 0 ? seconds : 0);
}

void metrics_count_failed_creation(struct metrics *metrics, enum error_code code)
{
	metrics->n_failed_creations[error_blames_request(code)]++;
}

void metrics_append_counted(const struct metrics *metrics, struct exposition *e)
{
	exposition_family(e, "dcvsm_agent_operation_duration_seconds", "histogram",
			  "Time to the answer, of each element of a request.");
	for (size_t i = 0; i < N_OPERATIONS; i++)
		exposition_add_histogram(e, LABELS({"operation", operations[i].name}),
					 &metrics->operations[i]);
	exposition_family(e, "dcvsm_agent_operation_failures_total", "counter",
			  "Elements of requests that were refused or failed.");
	for (size_t i = 0; i < N_OPERATIONS; i++)
		exposition_add(e, LABELS({"operation", operations[i].name}),
			       (double)metrics->n_failed[i]);
	exposition_family(e, "dcvsm_agent_session_create_duration_seconds", "histogram",
			  "Time from the request for a session to its READY.");
	exposition_add_histogram(e, NO_LABELS, &metrics->creations);
	exposition_family(e, "dcvsm_agent_session_create_failures_total", "counter",
			  "Sessions that were begun and never READY, by whose fault it was.");
	exposition_add(e, LABELS({"cause", "host"}), (double)metrics->n_failed_creations[0]);
	exposition_add(e, LABELS({"cause", "request"}), (double)metrics->n_failed_creations[1]);
}

/* --- sessions and the engine -------------------------------------------------------------------
 */

static void append_sessions(const struct session_list *sessions, struct exposition *e)
{
	size_t n[N_SESSION_STATES][2] = {{0}};
	double n_leaked = 0;

	list_for_each (session, &sessions->sessions, struct session, link) {
		n[session->state][strcmp(session->type, "CONSOLE") == 0]++;
		if (session->state == SESSION_DELETING)
			n_leaked += (double)session->n_leaked;
	}
	exposition_family(e, "dcvsm_agent_sessions", "gauge", "Sessions that are described.");
	for (size_t state = 0; state < N_SESSION_STATES; state++) {
		const char *name = session_state_name((enum session_state)state);

		exposition_add(e, LABELS({"state", name}, {"type", "VIRTUAL"}),
			       (double)n[state][0]);
		exposition_add(e, LABELS({"state", name}, {"type", "CONSOLE"}),
			       (double)n[state][1]);
	}
	exposition_single(e, "dcvsm_agent_leaked_processes", "gauge",
			  "Processes of ended sessions that do not end.", n_leaked);
}

static void append_engine(const struct agent *agent, struct exposition *e)
{
	const char *reason = server_unavailability(&agent->server);
	const char *version = agent->engine->status.version;
	struct error ignored;

	exposition_family(e, "dcvsm_agent_available", "gauge",
			  "1: this host takes new sessions; else the label tells why not.");
	exposition_add(e, LABELS({"reason", reason ? reason : ""}), !reason);
	exposition_family(e, "dcvsm_agent_engine_up", "gauge",
			  "1: what holds the sessions could begin one now.");
	exposition_add(
		e,
		LABELS({"engine", agent->engine->ops->name}, {"version", version ? version : ""}),
		agent->engine->ops->check(agent->engine, &ignored) == 0);
}

/* --- the broker --------------------------------------------------------------------------------
 */

static void append_broker(const struct agent *agent, struct exposition *e)
{
	if (agent->config->broker_host)
		exposition_single(e, "dcvsm_agent_broker_link_up", "gauge",
				  "1: the link to the broker stands.", agent->is_linked);
	if (agent->has_clock_skew)
		exposition_single(e, "dcvsm_agent_clock_skew_seconds", "gauge",
				  "By how much the clock was before the broker's, at linking.",
				  (double)agent->clock_skew_ms / 1000);
	if (agent->broker_certificate_end_s > 0)
		exposition_single(e, "dcvsm_agent_broker_certificate_left_seconds", "gauge",
				  "Time until the broker's certificate expires; 86400 are a day.",
				  (double)agent->broker_certificate_end_s -
					  (double)time_now_ms() / 1000);
}

/* --- the host and the process ------------------------------------------------------------------
 */

static void append_disks(struct exposition *e)
{
	json_auto_t *free_bytes = disk_free_bytes("");
	const char *folder;
	json_t *bytes;

	exposition_family(e, "dcvsm_agent_free_bytes", "gauge",
			  "What users may still fill, on file systems of this host.");
	json_object_foreach(free_bytes, folder, bytes)
		exposition_add(e, LABELS({"folder", folder}), (double)json_integer_value(bytes));
}

/* In seconds since 1970; the kernel counts from its own start. 0: not known. */
static double process_start(void)
{
	AUTO(fclose_p) FILE *own = host_file_open("", "/proc/self/stat");
	AUTO(fclose_p) FILE *kernel = host_file_open("", "/proc/stat");
	unsigned long long ticks = 0, boot_s = 0;
	char line[1024];
	const char *after;

	if (!own || !kernel || !fgets(line, sizeof(line), own))
		return 0;
	after = strrchr(line, ')'); /* a name may contain anything */
	if (!after || sscanf(after,
			     ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			     "%*d %*d %*d %llu",
			     &ticks) != 1)
		return 0;
	while (fgets(line, sizeof(line), kernel) && sscanf(line, "btime %llu", &boot_s) != 1)
		;
	return (double)boot_s + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double resident_bytes(void)
{
	AUTO(fclose_p) FILE *file = host_file_open("", "/proc/self/statm");
	unsigned long long pages = 0;

	if (!file || fscanf(file, "%*u %llu", &pages) != 1)
		return 0;
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	double n = -3; /* itself, and two names that are no descriptors */

	while (folder && readdir(folder))
		n++;
	if (folder)
		(void)closedir(folder);
	return n > 0 ? n : 0;
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void append_process(struct exposition *e)
{
	struct rusage usage = {0};

	(void)getrusage(RUSAGE_SELF, &usage);
	exposition_single(e, "process_cpu_seconds_total", "counter",
			  "Processor time of the agent, for itself and in the kernel.",
			  seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
	exposition_single(e, "process_resident_memory_bytes", "gauge",
			  "Memory of the agent that is not swapped out.", resident_bytes());
	exposition_single(e, "process_open_fds", "gauge", "Its open descriptors.",
			  open_descriptors());
	exposition_single(e, "process_start_time_seconds", "gauge",
			  "When it was started, since 1970.", process_start());
	exposition_single(e, "dcvsm_agent_log_lines_dropped_total", "counter",
			  "Lines that could not be written to agent.log.", (double)log_n_dropped());
}

void metrics_append(struct exposition *e, void *userdata)
{
	const struct agent *agent = userdata;

	exposition_family(e, "dcvsm_agent_build_info", "gauge", "The program that runs; always 1.");
	exposition_add(e, LABELS({"version", VERSION}), 1);
	append_sessions(&agent->sessions, e);
	append_engine(agent, e);
	append_broker(agent, e);
	append_disks(e);
	append_process(e);
	exposition_family(e, "dcvsm_agent_loop_turn_duration_seconds", "histogram",
			  "For how long at a time the agent was busy, and served nobody else.");
	exposition_add_histogram(e, NO_LABELS, &agent->loop->turns);
	metrics_append_counted(&agent->metrics, e);
}
