#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "ctl/config.h"

/* A folder with one file, and the options of a command line. */
struct fixture {
	char folder[64];
	char *path;
	struct arguments general;
	struct config config;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/test-config-XXXXXX");
	if (!mkdtemp(f->folder) || asprintf(&f->path, "%s/dcvsmcli.conf", f->folder) < 0)
		return -1;
	setenv("XDG_CONFIG_HOME", f->folder, 1);
	unsetenv("DCV_SM_AUTH_SERVER_URL");
	unsetenv("DCV_SM_CLIENT_ID");
	unsetenv("DCV_SM_CLIENT_PASSWORD");
	unsetenv("DCV_SM_OAUTH2_TOKEN");
	unsetenv("DCVCTL_SOCKET");
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	arguments_done(&f->general);
	config_done(&f->config);
	(void)unlink(f->path);
	(void)rmdir(f->folder);
	free(f->path);
	free(f);
	return 0;
}

static void write_file(struct fixture *f, const char *text)
{
	struct error err = {0};

	assert_int_equal(file_write_atomic(f->path, text, strlen(text), 0600, &err), 0);
}

static void give(struct fixture *f, enum program program, const char *option, const char *value)
{
	char *const argv[] = {(char *)option, (char *)value};
	struct error err = {0};

	assert_int_equal(arguments_read(&f->general, &general_options, program, true,
					!option ? 0
					: value ? 2
						: 1,
					argv, &err),
			 0);
}

static void assert_damaged(struct fixture *f, const char *text, const char *message)
{
	struct error err = {0};

	write_file(f, text);
	assert_int_equal(config_read_file(&f->config, &f->general, PROGRAM_DCVSM, &err), -1);
	assert_non_null(strstr(err.message, message));
	assert_non_null(strstr(err.message, f->path));
}

static void the_file_is_read(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	write_file(f, "; comment\n# comment\n\n[output]\noutput-format = json\ndebug=OFF\n"
		      "  [security]\r\nno-verify-ssl: Yes\r\nca-bundle = sub/ca.pem\n"
		      "[AUTHENTICATION]\nauth-server-url = https://a/t?x=y:z#\n"
		      "client-id = a b \nClient-Password = p=:#;%\\n\nnone = 0\n"
		      "[broker]\nurl=https://b");
	give(f, PROGRAM_DCVSM, NULL, NULL);
	assert_int_equal(config_read_file(&f->config, &f->general, PROGRAM_DCVSM, &err), 0);
	assert_string_equal(f->config.output_format, "json");
	assert_false(f->config.debug);
	assert_true(f->config.no_verify_ssl);
	assert_string_equal(f->config.auth_server_url, "https://a/t?x=y:z#");
	assert_string_equal(f->config.client_id, "a b");
	assert_string_equal(f->config.client_password, "p=:#;%\\n");
	assert_string_equal(f->config.broker_url, "https://b");
	/* relative to the folder of the file */
	assert_memory_equal(f->config.ca_bundle, f->folder, strlen(f->folder));
	assert_string_equal(f->config.ca_bundle + strlen(f->folder), "/sub/ca.pem");
}

static void damage_is_told_with_its_line(void **state)
{
	struct fixture *f = *state;

	give(f, PROGRAM_DCVSM, NULL, NULL);
	assert_damaged(f, "[broker]\n\nurl\n", "line 3: expected 'key = value'");
	assert_damaged(f, "[broker]\n= x\n", "line 2: expected 'key = value'");
	assert_damaged(f, "url = x\n", "line 1: a key before the first [section]");
	assert_damaged(f, "[broker] x\n", "line 1: expected '[section]'");
	assert_damaged(f, "[output]\ndebug =\n", "line 2: debug must be true or false");
}

static void no_file_at_all_is_fine(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	give(f, PROGRAM_DCVSM, NULL, NULL);
	assert_int_equal(config_read_file(&f->config, &f->general, PROGRAM_DCVSM, &err), 0);
	assert_null(f->config.broker_url);
}

static void a_named_file_must_be_there(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	give(f, PROGRAM_DCVSM, "--conf", "/nonexistent");
	assert_int_equal(config_read_file(&f->config, &f->general, PROGRAM_DCVSM, &err), -1);
	assert_non_null(strstr(err.message, "/nonexistent"));
}

static void an_option_beats_environment_and_file(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	write_file(f, "[authentication]\nauth-server-url = https://file\nclient-id = file\n"
		      "client-password = file\n[broker]\nurl = https://file\n");
	setenv("DCV_SM_AUTH_SERVER_URL", "https://environment", 1);
	setenv("DCV_SM_CLIENT_ID", "environment", 1);
	setenv("DCV_SM_CLIENT_PASSWORD", "", 1); /* as good as none */
	give(f, PROGRAM_DCVSM, "--auth-server-url", "https://option");
	assert_int_equal(config_read_file(&f->config, &f->general, PROGRAM_DCVSM, &err), 0);
	assert_int_equal(config_complete(&f->config, &f->general, PROGRAM_DCVSM, &err), 0);
	assert_string_equal(f->config.auth_server_url, "https://option");
	assert_string_equal(f->config.client_id, "environment");
	assert_string_equal(f->config.client_password, "file");
	assert_string_equal(f->config.broker_url, "https://file");
	assert_null(f->config.socket);
}

static void what_is_missing_is_named(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	give(f, PROGRAM_DCVSM, NULL, NULL);
	assert_int_equal(config_complete(&f->config, &f->general, PROGRAM_DCVSM, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, "--broker-url"));
	f->config.broker_url = strdup("https://b");
	assert_int_equal(config_complete(&f->config, &f->general, PROGRAM_DCVSM, &err), -1);
	assert_non_null(strstr(err.message, "DCV_SM_CLIENT_ID"));
	setenv("DCV_SM_CLIENT_ID", "x", 1);
	assert_int_equal(config_complete(&f->config, &f->general, PROGRAM_DCVSM, &err), -1);
	assert_string_equal(err.message, "the client password is missing");
	setenv("DCV_SM_OAUTH2_TOKEN", "x", 1);
	assert_int_equal(config_complete(&f->config, &f->general, PROGRAM_DCVSM, &err), 0);
}

static void dcvctl_means_the_local_agent_unless_told(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	write_file(f, "damaged");
	give(f, PROGRAM_DCVCTL, NULL, NULL);
	assert_true(config_is_local(&f->general, PROGRAM_DCVCTL));
	assert_false(config_is_local(&f->general, PROGRAM_DCVSM));
	/* the file is for brokers, and not looked at */
	assert_int_equal(config_read_file(&f->config, &f->general, PROGRAM_DCVCTL, &err), 0);
	assert_int_equal(config_complete(&f->config, &f->general, PROGRAM_DCVCTL, &err), 0);
	assert_string_equal(f->config.socket, AGENT_SOCKET);
	setenv("DCVCTL_SOCKET", "/from/environment", 1);
	assert_int_equal(config_complete(&f->config, &f->general, PROGRAM_DCVCTL, &err), 0);
	assert_string_equal(f->config.socket, "/from/environment");
	give(f, PROGRAM_DCVCTL, "--socket", "/from/option");
	assert_int_equal(config_complete(&f->config, &f->general, PROGRAM_DCVCTL, &err), 0);
	assert_string_equal(f->config.socket, "/from/option");
	give(f, PROGRAM_DCVCTL, "--broker", NULL);
	assert_false(config_is_local(&f->general, PROGRAM_DCVCTL));
	assert_int_equal(config_read_file(&f->config, &f->general, PROGRAM_DCVCTL, &err), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_file_is_read),
		TEST(damage_is_told_with_its_line),
		TEST(no_file_at_all_is_fine),
		TEST(a_named_file_must_be_there),
		TEST(an_option_beats_environment_and_file),
		TEST(what_is_missing_is_named),
		TEST(dcvctl_means_the_local_agent_unless_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
