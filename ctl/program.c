#include "ctl/program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/log.h"
#include "ctl/command.h"
#include "ctl/config.h"
#include "ctl/help.h"
#include "ctl/images.h"
#include "ctl/indent.h"
#include "ctl/outcome.h"
#include "ctl/print-details.h"
#include "ctl/print.h"
#include "ctl/service.h"
#include "ctl/visible.h"
#include "ctl/wait.h"

struct run {
	enum program program;
	const struct command *command;
	struct arguments general, specific;
	struct config config;
	struct service *service;
	bool wants_json;
};

static void run_done(struct run *run)
{
	service_free(run->service);
	config_done(&run->config);
	arguments_done(&run->specific);
	arguments_done(&run->general);
}

/* --- the command line --------------------------------------------------------------------------
 */

static int read_command_line(struct run *run, int argc, char **argv, struct error *err)
{
	int n;

	if (arguments_read(&run->general, &general_options, run->program, true, argc - 1, argv + 1,
			   err) < 0)
		return -1;
	if (run->general.wants_help || arguments_flag(&run->general, "version"))
		return 0;
	if (!config_is_local(&run->general, run->program) &&
	    arguments_text(&run->general, "socket"))
		return error_set(err, ERR_USAGE, "--socket and a broker exclude each other");
	n = 1 + run->general.n_read;
	if (n == argc)
		return error_set(err, ERR_USAGE, "no command; try --help");
	run->command = command_find(run->program, argv[n]);
	if (!run->command)
		return error_set(err, ERR_USAGE, "unknown command '%s'; try --help", argv[n]);
	n++;
	if (arguments_read(&run->specific, &run->command->options, run->program, false, argc - n,
			   argv + n, err) < 0)
		return -1;
	if (run->specific.wants_help)
		return 0;
	if (run->command->is_local && !config_is_local(&run->general, run->program))
		return error_set(err, ERR_USAGE, "%s asks the agent of this host, and no broker",
				 argv[n - 1]);
	return arguments_complete(&run->specific, run->program,
				  config_is_local(&run->general, run->program), err);
}

/* Help and version end the program well; *ret_done tells of that. */
static enum exit_status inform(const struct run *run, bool *ret_done)
{
	AUTO(buf_done) struct buf text = {0};
	struct error err = {0};
	int failed = 0;

	*ret_done = true;
	if (run->general.wants_help)
		failed = help_program(run->program, &text, &err);
	else if (arguments_flag(&run->general, "version"))
		failed = buf_printf(&text, &err, "%s " VERSION "\n",
				    run->program == PROGRAM_DCVSM ? "dcvsm" : "dcvctl");
	else if (run->specific.wants_help)
		failed = help_command(run->command, run->program, &text, &err);
	else
		*ret_done = false;
	if (failed < 0)
		return fail(&err, STATUS_OTHER);
	return *ret_done ? write_out(text.data, text.len) : STATUS_SUCCESS;
}

/* --- the answer --------------------------------------------------------------------------------
 */

static enum exit_status print_json(const struct run *run, const struct buf *body)
{
	if (run->program == PROGRAM_DCVCTL && write_out(body->data, body->len) != STATUS_SUCCESS)
		return STATUS_OTHER;
	/* a terminal's next prompt is not part of the answer */
	if (run->program == PROGRAM_DCVCTL)
		return isatty(STDOUT_FILENO) ? write_out("\n", 1) : STATUS_SUCCESS;
	indent_json(stdout, body->data, body->len);
	return write_out("", 0);
}

/* A session is looked for among those of its owner, whom dcvctl may have chosen. */
static int explain_failure(const struct run *run, const json_t *failure, struct buf *out,
			   struct error *err)
{
	const char *reason = json_get_text(failure, "FailureReason");
	const char *owner = arguments_text(&run->specific, "owner");

	if (run->program != PROGRAM_DCVCTL || !owner || !reason ||
	    strcmp(reason, FAILURE_NO_SUCH_SESSION) != 0)
		return 0;
	if (buf_append_text(out, " (of user ", err) < 0 ||
	    visible_append(out, owner, NULL, err) < 0)
		return -1;
	return buf_append_text(out, "; --owner names another)", err);
}

static enum exit_status tell_failures(const struct run *run, const json_t *answer)
{
	json_t *failures = print_failures_of(answer), *failure;
	size_t i;

	json_array_foreach(failures, i, failure)
	{
		AUTO(buf_done) struct buf text = {0};
		struct error err = {0};

		if (print_failure(run->command->op, failure, &text, &err) < 0 ||
		    explain_failure(run, failure, &text, &err) < 0)
			return fail(&err, STATUS_OTHER);
		complain("%s", text.data);
	}
	return json_array_size(failures) > 0 ? STATUS_REFUSED : STATUS_SUCCESS;
}

/* The report goes where it does not mix with JSON. */
static enum exit_status write_images(const struct run *run, const char *folder,
				     const json_t *answer)
{
	AUTO(buf_done) struct buf report = {0};
	struct error err = {0};
	int failed = images_write(folder, answer, &report, &err);

	if (report.len > 0 && run->wants_json)
		(void)fputs(report.data, stderr);
	else if (report.len > 0 && write_out(report.data, report.len) != STATUS_SUCCESS)
		return STATUS_OTHER;
	return failed < 0 ? fail(&err, STATUS_OTHER) : STATUS_SUCCESS;
}

static enum exit_status print_for_people(const struct run *run, const json_t *answer)
{
	AUTO(buf_done) struct buf text = {0};
	struct error err = {0};
	int failed;

	if (run->command->print)
		failed = run->command->print(answer, &text, &err);
	else if (arguments_flag(&run->specific, "details"))
		failed = print_details(answer, &text, &err);
	else
		failed = print_answer(run->command->op, answer, &text, &err);
	if (failed < 0)
		return fail(&err, STATUS_OTHER);
	return write_out(text.data ? text.data : "", text.len);
}

static enum exit_status show(const struct run *run, const struct client_response *response,
			     const json_t *answer)
{
	const char *folder = arguments_text(&run->specific, "output-dir");
	enum exit_status status = STATUS_SUCCESS, refused;

	if (run->wants_json)
		status = print_json(run, &response->body);
	else if (!folder)
		status = print_for_people(run, answer);
	if (status == STATUS_SUCCESS && folder)
		status = write_images(run, folder, answer);
	refused = tell_failures(run, answer);
	return status == STATUS_SUCCESS ? refused : status;
}

/* --- carrying out ------------------------------------------------------------------------------
 */

static enum exit_status wait_until_ready(const struct run *run, const json_t *answer)
{
	const json_t *created = json_array_get(json_object_get(answer, "SuccessfulList"), 0);
	long long timeout_s = arguments_integer(&run->specific, "wait-timeout", 600);
	const char *id = json_get_text(created, "Id");
	AUTO(buf_done) struct buf text = {0};
	struct error err = {.message = "the answer names no session to wait for"};
	enum exit_status status = STATUS_OTHER;

	if (id)
		status = wait_for_session(run->service, id, timeout_s, &err);
	if (status != STATUS_SUCCESS)
		return fail(&err, status);
	if (run->wants_json)
		return STATUS_SUCCESS;
	if (buf_append_text(&text, "session ", &err) < 0 ||
	    visible_append(&text, id, NULL, &err) < 0 ||
	    buf_append_text(&text, " READY\n", &err) < 0)
		return fail(&err, STATUS_OTHER);
	return write_out(text.data, text.len);
}

static enum exit_status carry_out(struct run *run)
{
	const struct operation *op = run->command->op;
	AUTO(client_response_done) struct client_response response = {0};
	AUTO(buf_done) struct buf body = {0};
	AUTO(free_p) char *path = NULL;
	json_auto_t *answer = NULL;
	struct error err = {0};
	enum exit_status status;

	if (command_request(run->command, &run->specific, &path, &body, &err) < 0 ||
	    service_new(&run->config, &run->service, &err) < 0)
		return fail(&err, STATUS_OTHER);
	status = service_call(run->service, op->method, path, &body, &response, &answer, &err);
	if (status != STATUS_SUCCESS)
		return fail(&err, status);
	status = show(run, &response, answer);
	if (status == STATUS_SUCCESS && arguments_flag(&run->specific, "wait"))
		status = wait_until_ready(run, answer);
	return status;
}

static enum exit_status configure(struct run *run)
{
	struct error err = {0};

	log_set_level(arguments_flag(&run->general, "debug") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	if (config_read_file(&run->config, &run->general, run->program, &err) < 0)
		return fail(&err, STATUS_CONFIG_FILE);
	if (config_complete(&run->config, &run->general, run->program, &err) < 0)
		return fail(&err, STATUS_SETTINGS);
	if (run->config.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	return STATUS_SUCCESS;
}

enum exit_status program_run(int argc, char **argv)
{
	AUTO(run_done) struct run run = {0};
	struct error err = {0};
	enum exit_status status;
	const char *output;
	bool is_done;

	run.program = strcmp(program_invocation_short_name, "dcvsm") == 0 ? PROGRAM_DCVSM
									  : PROGRAM_DCVCTL;
	if (read_command_line(&run, argc, argv, &err) < 0)
		return fail(&err, err.code == ERR_USAGE ? STATUS_USAGE : STATUS_VALUE);
	status = inform(&run, &is_done);
	if (is_done || status != STATUS_SUCCESS)
		return status;
	output = arguments_text(&run.general, "output");
	run.wants_json = run.program == PROGRAM_DCVSM || (output && strcmp(output, "json") == 0);
	if (run.command->run) {
		arguments_inherit(&run.specific, &run.general);
		return run.command->run(&run.specific, run.wants_json);
	}
	status = configure(&run);
	return status == STATUS_SUCCESS ? carry_out(&run) : status;
}
