#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "ctl/command.h"
#include "ctl/config.h"

static void every_operation_is_a_command_and_some_are_our_own(void **state)
{
	static const char *const names[N_COMMANDS] = {
		"create-session",
		"describe-sessions",
		"delete-session",
		"update-session-permissions",
		"get-session-connection-data",
		"get-session-screenshots",
		"describe-servers",
		"open-servers",
		"close-servers",
		"connect",
		"check-permissions",
		"doctor",
		"describe-idle",
		"logs",
	};

	(void)state;
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char name[COMMAND_NAME_SIZE];

		command_name(&commands[i], name);
		assert_string_equal(name, names[i]);
		assert_ptr_equal(command_find(PROGRAM_DCVCTL, name), &commands[i]);
		assert_ptr_equal(command_find(PROGRAM_DCVSM, name),
				 i < N_OPERATIONS ? &commands[i] : NULL);
		if (i < N_OPERATIONS)
			assert_ptr_equal(commands[i].op, &operations[i]);
		/* a command asks the API, or the agent beyond it, or nobody */
		assert_int_equal(!commands[i].run, commands[i].op != NULL);
		assert_int_equal(commands[i].print != NULL, i >= N_OPERATIONS && commands[i].op);
		assert_true(commands[i].options.n_specs <= OPTIONS_MAX);
	}
	assert_null(command_find(PROGRAM_DCVCTL, "create-sessions"));
	assert_null(command_find(PROGRAM_DCVCTL, "create_session"));
	assert_null(command_find(PROGRAM_DCVCTL, "CreateSessions"));
	assert_null(command_find(PROGRAM_DCVCTL, ""));
}

/* A misspelt field would make an option that the service refuses. */
static void every_field_is_one_of_the_operation(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct option_table *table = &commands[i].options;

		for (size_t o = 0; o < table->n_specs; o++) {
			const struct option_spec *spec = &table->specs[o];

			if (spec->field)
				assert_non_null(option_param(table, spec));
			assert_int_not_equal(option_kind(table, spec), OPTION_BY_FIELD);
			assert_non_null(spec->help);
		}
	}
}

/* What a required field lacks, no option could give. */
static void every_required_field_has_an_option(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		const struct option_table *table = &commands[i].options;

		for (size_t p = 0; p < table->params->n_params; p++) {
			bool is_there = !table->params->params[p].required;

			for (size_t o = 0; o < table->n_specs; o++)
				is_there |= table->specs[o].field &&
					    strcmp(table->specs[o].field,
						   table->params->params[p].name) == 0;
			assert_true(is_there);
		}
	}
}

/* The path and body that @argv, ended by NULL, asks of @name: "PATH BODY", for free(). */
static char *request(enum program program, bool is_local, const char *name, const char *const *argv,
		     struct error *err)
{
	AUTO(arguments_done) struct arguments args = {0};
	const struct command *command = command_find(program, name);
	AUTO(buf_done) struct buf body = {0}, text = {0};
	AUTO(free_p) char *path = NULL;
	int argc = 0;

	while (argv[argc])
		argc++;
	if (arguments_read(&args, &command->options, program, false, argc, (char *const *)argv,
			   err) < 0 ||
	    arguments_complete(&args, program, is_local, err) < 0 ||
	    command_request(command, &args, &path, &body, err) < 0)
		return NULL;
	assert_int_equal(buf_printf(&text, err, "%s %s", path, body.data ? body.data : ""), 0);
	return buf_steal(&text);
}

#define ASSERT_REQUEST(program, name, expected, ...)                                               \
	do {                                                                                       \
		struct error err_ = {0};                                                           \
		AUTO(free_p)                                                                       \
		char *text_ = request(program, false, name,                                        \
				      (const char *const[]){__VA_ARGS__, NULL}, &err_);            \
		assert_string_equal(err_.message, "");                                             \
		assert_string_equal(text_, expected);                                              \
	} while (0)

#define ASSERT_REFUSED(program, name, code_, message_, ...)                                        \
	do {                                                                                       \
		struct error err_ = {0};                                                           \
		assert_null(request(program, false, name,                                          \
				    (const char *const[]){__VA_ARGS__, NULL}, &err_));             \
		assert_string_equal(err_.message, message_);                                       \
		assert_int_equal(err_.code, code_);                                                \
	} while (0)

static void values_stand_after_a_blank_or_an_equals_sign(void **state)
{
	(void)state;
	ASSERT_REQUEST(PROGRAM_DCVSM, "delete-session",
		       "/deleteSessions [{\"SessionId\":\"1=2\",\"Owner\":\"o\"}]",
		       "--session-id=1=2", "--owner", "o");
	ASSERT_REQUEST(PROGRAM_DCVSM, "delete-session",
		       "/deleteSessions [{\"SessionId\":\"--owner\",\"Owner\":\"\xc3\xa9\"}]",
		       "--session-id", "--owner", "--owner=\xc3\xa9");
	ASSERT_REFUSED(PROGRAM_DCVSM, "delete-session", ERR_USAGE, "--owner needs a value",
		       "--session-id=1", "--owner");
	ASSERT_REFUSED(PROGRAM_DCVSM, "delete-session", ERR_USAGE, "--session-id is required",
		       "--owner=1");
	ASSERT_REFUSED(PROGRAM_DCVSM, "delete-session", ERR_USAGE, "unknown option '--sess'",
		       "--sess=1");
	ASSERT_REFUSED(PROGRAM_DCVCTL, "describe-servers", ERR_USAGE,
		       "option '--output' stands before the command", "--output", "json");
	ASSERT_REFUSED(PROGRAM_DCVSM, "delete-session", ERR_USAGE, "unknown option '-o'", "-o",
		       "1");
	/* the last one counts */
	ASSERT_REQUEST(PROGRAM_DCVSM, "delete-session",
		       "/deleteSessions [{\"SessionId\":\"2\",\"Owner\":\"o\"}]", "--session-id=1",
		       "--owner=o", "--session-id=2");
}

static void lists_are_parted_at_commas(void **state)
{
	(void)state;
	ASSERT_REQUEST(PROGRAM_DCVSM, "describe-servers",
		       "/describeServers {\"ServerIds\":[\"a\",\"b c\",\"d,\\\\e\",\"f\"]}",
		       "--server-ids", " a ,\tb c, d\\,\\e", "--server-ids=f");
	ASSERT_REFUSED(PROGRAM_DCVSM, "describe-servers", ERR_INVALID,
		       "--server-ids has an empty element in its list", "--server-ids", "a, ,b");
	ASSERT_REFUSED(PROGRAM_DCVSM, "describe-servers", ERR_INVALID,
		       "--server-ids has an empty element in its list", "--server-ids", "a,");
	ASSERT_REFUSED(PROGRAM_DCVSM, "describe-servers", ERR_INVALID,
		       "--server-ids is not UTF-8 text", "--server-ids", "\xff");
}

static void a_list_of_ids_makes_one_element_each(void **state)
{
	(void)state;
	ASSERT_REQUEST(PROGRAM_DCVSM, "close-servers",
		       "/closeServers [{\"ServerId\":\"a\",\"Force\":true},"
		       "{\"ServerId\":\"b\",\"Force\":true}]",
		       "--force", "--server-ids", "a,b");
}

static void flags_take_a_value_only_where_it_is_meant(void **state)
{
	(void)state;
	ASSERT_REQUEST(PROGRAM_DCVSM, "close-servers",
		       "/closeServers [{\"ServerId\":\"a\",\"Force\":false}]", "--server-ids=a",
		       "--force=FALSE");
	ASSERT_REFUSED(PROGRAM_DCVSM, "close-servers", ERR_USAGE, "unexpected argument 'true'",
		       "--server-ids=a", "--force", "true");
	ASSERT_REFUSED(PROGRAM_DCVSM, "close-servers", ERR_INVALID,
		       "--force is a flag: it takes no value but true or false", "--server-ids=a",
		       "--force=1");
	ASSERT_REQUEST(PROGRAM_DCVSM, "create-session",
		       "/createSessions [{\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"CONSOLE\","
		       "\"EnqueueRequest\":false,\"DisableRetryOnFailure\":true}]",
		       "--name=n", "--owner=o", "--type=console", "--enqueue-request", "false",
		       "--disable-retry-on-failure");
	ASSERT_REQUEST(PROGRAM_DCVSM, "create-session",
		       "/createSessions [{\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"CONSOLE\","
		       "\"EnqueueRequest\":true}]",
		       "--enqueue-request", "--name=n", "--owner=o", "--type=console");
}

static void numbers_and_choices_have_bounds(void **state)
{
	(void)state;
	ASSERT_REFUSED(PROGRAM_DCVSM, "describe-sessions", ERR_INVALID,
		       "--max-results must be a number between 1 and 1000", "--max-results=1001");
	ASSERT_REFUSED(PROGRAM_DCVSM, "create-session", ERR_INVALID,
		       "--max-concurrent-clients must be a number between 1 and 100",
		       "--max-concurrents-clients=0");
	ASSERT_REFUSED(PROGRAM_DCVSM, "create-session", ERR_INVALID,
		       "--type must be CONSOLE or VIRTUAL", "--type=screen");
	ASSERT_REFUSED(PROGRAM_DCVSM, "create-session", ERR_INVALID, "--name must not be blank",
		       "--name= ");
}

static void permission_files_are_sent_as_base64(void **state)
{
	char path[] = "/tmp/test-command-XXXXXX";
	AUTO(free_p) char *forced = NULL;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0 && write(fd, "x\xff", 2) == 2 && close(fd) == 0);
	assert_true(asprintf(&forced, "@%s", path) > 0);
#define UPDATE "--session-id=1", "--owner=o", "--permission-file"
#define SENT                                                                                       \
	"/sessionPermissions [{\"SessionId\":\"1\",\"Owner\":\"o\",\"PermissionsFile\":\"eP8=\"}]"
	ASSERT_REQUEST(PROGRAM_DCVSM, "update-session-permissions", SENT, UPDATE, path);
	ASSERT_REQUEST(PROGRAM_DCVSM, "update-session-permissions", SENT, UPDATE, forced);
	assert_int_equal(unlink(path), 0);
	ASSERT_REFUSED(PROGRAM_DCVSM, "update-session-permissions", ERR_INVALID,
		       "--permission-file: open abcd: No such file or directory", UPDATE, "abcd");
	/* creating takes the contents themselves as well */
	ASSERT_REQUEST(PROGRAM_DCVSM, "create-session",
		       "/createSessions [{\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"CONSOLE\","
		       "\"PermissionsFile\":\"abcd\"}]",
		       "--name=n", "--owner=o", "--type=console", "--permissions-file=abcd");
	ASSERT_REFUSED(PROGRAM_DCVSM, "create-session", ERR_INVALID,
		       "--permissions-file: open abcd: No such file or directory",
		       "--permissions-file=@abcd");
	ASSERT_REFUSED(PROGRAM_DCVSM, "create-session", ERR_INVALID,
		       "--permissions-file is neither a file that can be read nor base64",
		       "--permissions-file=no such file");
}

static void dcvctl_takes_values_without_names(void **state)
{
	(void)state;
	ASSERT_REQUEST(PROGRAM_DCVCTL, "describe-sessions",
		       "/describeSessions {\"SessionIds\":[\"a\",\"b\",\"-c\"]}", "a,b", "--",
		       "-c");
	ASSERT_REQUEST(PROGRAM_DCVCTL, "get-session-connection-data",
		       "/sessionConnectionData/1/mira ", "--session-id=1", "mira");
	ASSERT_REFUSED(PROGRAM_DCVCTL, "delete-session", ERR_USAGE, "unexpected argument '2'", "1",
		       "2");
	ASSERT_REFUSED(PROGRAM_DCVSM, "delete-session", ERR_USAGE, "unexpected argument '1'", "1");
}

static void only_the_local_agent_knows_who_you_are(void **state)
{
	static const char *const argv[] = {"1", NULL};
	struct error err = {0};
	AUTO(free_p) char *local = request(PROGRAM_DCVCTL, true, "delete-session", argv, &err);

	(void)state;
	assert_non_null(local);
	assert_null(request(PROGRAM_DCVCTL, false, "delete-session", argv, &err));
	assert_string_equal(err.message, "--owner is required");
	assert_int_equal(err.code, ERR_USAGE);
}

static void options_before_the_command_end_at_it(void **state)
{
	AUTO(arguments_done) struct arguments args = {0};
	char *const argv[] = {"--auth-server", "https://a", "--debug", "describe-sessions",
			      "--version"};
	struct error err = {0};

	(void)state;
	assert_int_equal(
		arguments_read(&args, &general_options, PROGRAM_DCVSM, true, 5, argv, &err), 0);
	assert_int_equal(args.n_read, 3);
	assert_string_equal(arguments_text(&args, "auth-server-url"), "https://a");
	assert_true(arguments_flag(&args, "debug"));
	assert_false(arguments_flag(&args, "version"));
	assert_int_equal(arguments_integer(&args, "timeout", 60), 60);
	/* not an option of that name's program */
	arguments_done(&args);
	assert_int_equal(arguments_read(&args, &general_options, PROGRAM_DCVSM, true, 2,
					(char *const[]){"--socket", "x"}, &err),
			 -1);
	assert_int_equal(err.code, ERR_USAGE);
}

static void a_command_of_our_own_takes_over_general_options(void **state)
{
	char *const before[] = {(char *)"--socket=/general", (char *)"doctor"};
	char *const after[] = {(char *)"--socket=/own", (char *)"--owner=mira"};
	const struct option_table *table = &command_find(PROGRAM_DCVCTL, "doctor")->options;
	AUTO(arguments_done) struct arguments general = {0};
	AUTO(arguments_done) struct arguments own = {0};
	AUTO(arguments_done) struct arguments none = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(
		arguments_read(&general, &general_options, PROGRAM_DCVCTL, true, 2, before, &err),
		0);
	assert_int_equal(arguments_read(&own, table, PROGRAM_DCVCTL, false, 2, after, &err), 0);
	assert_int_equal(arguments_read(&none, table, PROGRAM_DCVCTL, false, 0, after, &err), 0);
	arguments_inherit(&own, &general);
	arguments_inherit(&none, &general);
	assert_string_equal(arguments_text(&own, "socket"), "/own");
	assert_string_equal(arguments_text(&none, "socket"), "/general");
	assert_null(arguments_text(&none, "owner"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_is_a_command_and_some_are_our_own),
		cmocka_unit_test(every_field_is_one_of_the_operation),
		cmocka_unit_test(every_required_field_has_an_option),
		cmocka_unit_test(values_stand_after_a_blank_or_an_equals_sign),
		cmocka_unit_test(lists_are_parted_at_commas),
		cmocka_unit_test(a_list_of_ids_makes_one_element_each),
		cmocka_unit_test(flags_take_a_value_only_where_it_is_meant),
		cmocka_unit_test(numbers_and_choices_have_bounds),
		cmocka_unit_test(permission_files_are_sent_as_base64),
		cmocka_unit_test(dcvctl_takes_values_without_names),
		cmocka_unit_test(only_the_local_agent_knows_who_you_are),
		cmocka_unit_test(options_before_the_command_end_at_it),
		cmocka_unit_test(a_command_of_our_own_takes_over_general_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
