#include "ctl/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/finding.h"
#include "common/json.h"
#include "ctl/indent.h"
#include "ctl/outcome.h"
#include "ctl/service.h"
#include "ctl/visible.h"

#define AGENT_PROGRAM "dcv-session-manager-agent"
#define OUTPUT_MAX_BYTES (1024UL * 1024)
#define ANSWER_TIMEOUT_S 10

extern char **environ;

/* Options that the agent's program takes by the same names. */
static const char *const passed_on[] = {"agent-conf", "socket",     "keeper-socket",
					"pam-dir",    "agent-user", "owner",
					"xserver",    "state-dir",  "keeper-log-dir"};

/* --- the host ----------------------------------------------------------------------------------
 */

static int spawn(const char *path, const char *const *argv, int output, pid_t *ret,
		 struct error *err)
{
	posix_spawn_file_actions_t actions;
	int failed = posix_spawn_file_actions_init(&actions);

	if (failed)
		return error_oom(err);
	failed = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (!failed) /* it does not write to its arguments */
		failed = posix_spawn(ret, path, &actions, NULL, (char *const *)(void *)argv,
				     environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = failed;
	return failed ? error_errno(err, "start %s", path) : 0;
}

/* What the agent's program prints. */
static int run_agent(const char *path, const char *const *argv, struct buf *ret, struct error *err)
{
	AUTO(close_p) int read_fd = -1;
	AUTO(close_p) int write_fd = -1;
	int fds[2], status, result;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, "make a pipe");
	read_fd = fds[0];
	write_fd = fds[1];
	if (spawn(path, argv, write_fd, &pid, err) < 0)
		return -1;
	close_p(&write_fd);
	result = file_read_open(read_fd, path, OUTPUT_MAX_BYTES, ret, err);
	close_p(&read_fd);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(err, ERR_SYSTEM, "%s has failed", path);
	return result;
}

static int examine_host(const struct arguments *args, json_t *findings, struct error *err)
{
	const char *argv[2 + 2 * ARRAY_SIZE(passed_on) + 1] = {AGENT_PROGRAM, "doctor"};
	char names[ARRAY_SIZE(passed_on)][32];
	AUTO(buf_done) struct buf output = {0};
	json_auto_t *object = NULL;
	AUTO(free_p) char *path = NULL;
	size_t n = 2;

	if (file_beside_program(AGENT_PROGRAM, &path, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++) {
		const char *name = passed_on[i], *value = arguments_text(args, name);

		if (!value)
			continue;
		(void)snprintf(names[i], sizeof(names[i]), "--%s",
			       strcmp(name, "agent-conf") == 0 ? "conf" : name);
		argv[n++] = names[i];
		argv[n++] = value;
	}
	if (run_agent(path, argv, &output, err) < 0)
		return -1;
	if (!output.data || json_parse(output.data, output.len, &object, err) < 0 ||
	    json_array_extend(findings, json_object_get(object, "Findings")) < 0)
		return error_set(err, ERR_SYSTEM, "%s prints no findings", path);
	return 0;
}

/* --- the running agent -------------------------------------------------------------------------
 */

static void read_version(const json_t *server, json_t *findings)
{
	const char *version = json_get_text(server, "SessionManagerAgentVersion");

	if (version && strcmp(version, VERSION) != 0)
		finding_add(findings, "agent", FINDING_WARNING,
			    "Restart the agent; sessions go on meanwhile.",
			    "the running agent is version %s, installed is " VERSION, version);
	else
		finding_add(findings, "agent", FINDING_OK, NULL, "the agent runs and answers");
}

static void read_availability(const json_t *server, json_t *findings)
{
	const char *reason = json_get_text(server, "UnavailabilityReason");
	const char *trouble = json_get_text(json_object_get(server, "Local"), "EngineTrouble");

	if (!reason)
		finding_add(findings, "availability", FINDING_OK, NULL,
			    "this host takes new sessions");
	else if (strcmp(reason, "SERVER_CLOSED") == 0)
		finding_add(findings, "availability", FINDING_WARNING, "dcvctl open-servers ID",
			    "this host was closed for new sessions");
	else if (strcmp(reason, "SERVER_FULL") == 0)
		finding_add(findings, "availability", FINDING_OK, NULL,
			    "this host has as many sessions as it may (SERVER_FULL)");
	else
		finding_add(findings, "availability", FINDING_ERROR,
			    "See agent.log, and what is said here of the keeper and the programs.",
			    "this host cannot hold sessions now (%s)%s%s", reason,
			    trouble ? ": " : "", trouble ? trouble : "");
}

static void read_link(const json_t *server, json_t *findings)
{
	const json_t *local = json_object_get(server, "Local");
	const json_t *is_linked = json_object_get(local, "BrokerLinked");
	const char *trouble = json_get_text(local, "BrokerTrouble");

	if (json_is_true(is_linked))
		finding_add(findings, "link", FINDING_OK, NULL,
			    "the agent is linked to the broker");
	else if (json_is_false(is_linked))
		finding_add(
			findings, "link", FINDING_ERROR,
			"If the broker is reached, see the software statement: a statement that "
			"was deactivated is replaced by dcv-session-manager-agent join.",
			"the agent is not linked to the broker%s%s",
			trouble && trouble[0] ? ": " : "", trouble ? trouble : "");
}

void doctor_read_server(const json_t *server, json_t *findings)
{
	read_version(server, findings);
	read_availability(server, findings);
	read_link(server, findings);
}

static int describe_server(const char *socket, json_t **ret, struct error *err)
{
	struct config config = {.socket = (char *)(socket ? socket : AGENT_SOCKET),
				.timeout_s = ANSWER_TIMEOUT_S};
	AUTO(client_response_done) struct client_response response = {0};
	AUTO(service_free_p) struct service *service = NULL;
	struct buf body = {.data = (char *)"{}", .len = 2};

	if (service_new(&config, &service, err) < 0 ||
	    service_call(service, "POST", "/describeServers", &body, &response, ret, err) !=
		    STATUS_SUCCESS)
		return -1;
	return 0;
}

static void examine_agent(const char *socket, json_t *findings)
{
	json_auto_t *answer = NULL;
	struct error err = {0};

	if (describe_server(socket, &answer, &err) == 0)
		doctor_read_server(json_array_get(json_object_get(answer, "Servers"), 0), findings);
	else
		finding_add(findings, "agent", FINDING_ERROR,
			    "systemctl start dcv-session-manager-agent; agent.log, or the journal, "
			    "says why it ends.",
			    "the agent does not answer: %s", err.message);
}

/* --- telling -----------------------------------------------------------------------------------
 */

enum doctor_status doctor_status(const json_t *findings)
{
	struct finding_counts counts = finding_count(findings);

	if (counts.n[FINDING_ERROR] > 0)
		return DOCTOR_ERRORS;
	return counts.n[FINDING_WARNING] > 0 ? DOCTOR_WARNINGS : DOCTOR_WELL;
}

static int print_finding(const json_t *finding, struct buf *out, struct error *err)
{
	static const char *const marks[N_FINDING_STATES] = {
		[FINDING_OK] = "ok",
		[FINDING_NOT_CHECKED] = "not checked",
		[FINDING_WARNING] = "WARNING",
		[FINDING_ERROR] = "ERROR",
	};
	const char *check = json_get_text(finding, "Check"), *text = json_get_text(finding, "Text");
	const char *advice = json_get_text(finding, "Advice");

	if (buf_printf(out, err, "%-12s %-13s ", marks[finding_state(finding)],
		       check ? check : "") < 0 ||
	    visible_append(out, text ? text : "", NULL, err) < 0 ||
	    buf_append_text(out, "\n", err) < 0)
		return -1;
	if (!advice)
		return 0;
	if (buf_printf(out, err, "%26s-> ", "") < 0 || visible_append(out, advice, NULL, err) < 0)
		return -1;
	return buf_append_text(out, "\n", err);
}

static int print_for_people(const json_t *findings, struct buf *out, struct error *err)
{
	struct finding_counts counts = finding_count(findings);
	const json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding)
	{
		if (print_finding(finding, out, err) < 0)
			return -1;
	}
	return buf_printf(out, err, "%zu errors, %zu warnings, %zu not checked\n",
			  counts.n[FINDING_ERROR], counts.n[FINDING_WARNING],
			  counts.n[FINDING_NOT_CHECKED]);
}

static int print_for_programs(json_t *findings, struct buf *out, struct error *err)
{
	struct finding_counts counts = finding_count(findings);
	json_auto_t *object =
		json_pack("{s:I,s:I,s:I,s:O}", "Errors", (json_int_t)counts.n[FINDING_ERROR],
			  "Warnings", (json_int_t)counts.n[FINDING_WARNING], "NotChecked",
			  (json_int_t)counts.n[FINDING_NOT_CHECKED], "Findings", findings);

	return json_append(out, object, err);
}

enum exit_status doctor(const struct arguments *args, bool wants_json)
{
	AUTO(buf_done) struct buf out = {0};
	json_auto_t *findings = json_array();
	struct error err = {0};

	wants_json = wants_json || arguments_flag(args, "json");
	if (examine_host(args, findings, &err) < 0)
		finding_add(findings, "host", FINDING_ERROR,
			    "Install the agent on this host; it is what examines it.",
			    "the host cannot be examined: %s", err.message);
	examine_agent(arguments_text(args, "socket"), findings);
	if ((wants_json ? print_for_programs(findings, &out, &err)
			: print_for_people(findings, &out, &err)) < 0)
		return fail(&err, STATUS_OTHER);
	if (wants_json)
		indent_json(stdout, out.data, out.len);
	if (write_out(wants_json ? "" : out.data, wants_json ? 0 : out.len) != STATUS_SUCCESS)
		return STATUS_OTHER;
	return (enum exit_status)doctor_status(findings);
}
