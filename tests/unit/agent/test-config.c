#include "agent/config.h"

#include "tests/unit/agent/fixture.h"

struct fixture {
	struct folder folder;
	struct agent_config config;
};

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	log_set_level(LOG_LEVEL_ERROR);
	folder_make(&f.folder);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	agent_config_done(&f->config);
	folder_remove(&f->folder);
	return 0;
}

static int load(struct fixture *f, const char *text, struct error *err)
{
	agent_config_done(&f->config);
	return agent_config_load(&f->config, put(&f->folder, "agent.conf", text), err);
}

static void a_file_with_its_version_alone_gives_the_defaults(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(load(f, "version = '0.1'\n", &err), 0);
	assert_null(f->config.broker_host);
	assert_int_equal(f->config.broker_port, 8445);
	assert_true(f->config.tls_strict);
	assert_int_equal(f->config.max_virtual_sessions, -1);
	assert_int_equal(f->config.max_sessions_per_user, 1);
	assert_int_equal(f->config.broker_update_interval, 30);
	assert_int_equal(f->config.create_timeout, 60);
	assert_string_equal(f->config.init_folder, "/var/lib/dcv-session-manager-agent/init");
	assert_string_equal(f->config.admin_group, "dcvsm-admin");
	assert_string_equal(f->config.screenshot_format, "png");
	assert_int_equal(f->config.screenshot_max_width, 160);
	assert_int_equal(f->config.screenshot_max_height, 100);
	assert_true(f->config.minimum_uid >= 100); /* UID_MIN of this host */
}

static void a_file_of_the_original_is_read(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(
		load(f,
		     "version = '0.1'\n\n[agent]\n\n"
		     "# hostname or IP of the broker. This parameter is mandatory.\n"
		     "broker_host = 'broker.example.net'\nbroker_port = 9445\n"
		     "ca_file = '/etc/x.pem'\ntls_strict = false\n"
		     "#tags_folder = '/x'\nbroker_update_interval = 15\n"
		     "enable_query_logged_in_users = true\n\n"
		     "[log]\nlevel = 'debug'\nrotation = 'daily'\nmax-file-size = 10485760\n",
		     &err),
		0);
	assert_string_equal(f->config.broker_host, "broker.example.net");
	assert_int_equal(f->config.broker_port, 9445);
	assert_string_equal(f->config.ca_file, "/etc/x.pem");
	assert_false(f->config.tls_strict);
	assert_null(f->config.tags_folder);
	assert_int_equal(f->config.broker_update_interval, 15);
	assert_string_equal(f->config.log_level, "debug");
}

static void an_error_names_file_line_key_and_expectation(void **state)
{
	static const struct {
		const char *line, *sentence;
	} bad[] = {
		{"broker_host = ''",
		 "agent.broker_host: expected a string that is not empty, got ''"},
		{"broker_host = 7",
		 "agent.broker_host: expected a string that is not empty, got '7'"},
		{"broker_port = 0",
		 "agent.broker_port: expected an integer from 1 to 65535, got '0'"},
		{"broker_port = 65536",
		 "agent.broker_port: expected an integer from 1 to 65535, got '65536'"},
		{"broker_port = '8445'",
		 "agent.broker_port: expected an integer from 1 to 65535, got '8445'"},
		{"ca_file = 'x.pem'", "agent.ca_file: expected an absolute path, got 'x.pem'"},
		{"tls_strict = 1", "agent.tls_strict: expected true or false, got '1'"},
		{"max_virtual_sessions = -2",
		 "agent.max_virtual_sessions: expected an integer from -1 to 100000, got '-2'"},
		{"max_virtual_sessions = 1.5",
		 "agent.max_virtual_sessions: expected an integer from -1 to 100000, got '1.5'"},
		{"init_folder = 'relative'",
		 "agent.init_folder: expected an absolute path, got 'relative'"},
		{"session_screenshot_format = 'gif'",
		 "agent.session_screenshot_format: expected one of png|jpeg, got 'gif'"},
		{"session_screenshot_max_width = 0", "agent.session_screenshot_max_width: expected "
						     "an integer from 1 to 65535, got '0'"},
		{"create_timeout = 0",
		 "agent.create_timeout: expected an integer from 1 to 3600, got '0'"},
		{"delete_grace = -1",
		 "agent.delete_grace: expected an integer from 0 to 600, got '-1'"},
	};
	struct fixture *f = *state;
	char text[256], expected[768];
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(text, sizeof(text), "version = '0.1'\n[agent]\n%s\n", bad[i].line);
		assert_fails(load(f, text, &err), ERR_CONFIG);
		(void)snprintf(expected, sizeof(expected), "%s: line 3: %s",
			       in_folder(&f->folder, "agent.conf"), bad[i].sentence);
		assert_string_equal(err.message, expected);
	}
	assert_fails(load(f, "version = '0.1'\n[log]\nlevel = 'loud'\n", &err), ERR_CONFIG);
	assert_non_null(strstr(err.message, "line 3: log.level: expected one of "
					    "error|warning|info|debug, got 'loud'"));
}

static void the_version_is_needed_and_is_this_one(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_fails(load(f, "", &err), ERR_CONFIG);
	assert_non_null(strstr(err.message, "missing field: version = '0.1'"));
	assert_fails(load(f, "[agent]\nbroker_port = 1\n", &err), ERR_CONFIG);
	assert_fails(load(f, "version = '0.2'\n", &err), ERR_CONFIG);
	assert_non_null(strstr(err.message, "line 1: version: expected one of 0.1, got '0.2'"));
	assert_fails(load(f, "version = 0.1\n", &err), ERR_CONFIG);
}

static void what_is_no_toml_is_an_error_with_its_line(void **state)
{
	static const char *const bad[] = {
		"[agent",    "broker_host", "broker_host = ", "broker_host = 'x",
		"[[agent]]", "= 7",         "a = {b = 1}"};
	struct fixture *f = *state;
	char text[128];
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(text, sizeof(text), "version = '0.1'\n%s\n", bad[i]);
		assert_fails(load(f, text, &err), ERR_CONFIG);
		assert_non_null(strstr(err.message, "agent.conf: line 2: "));
	}
}

static void a_geometry_is_two_numbers(void **state)
{
	static const char *const bad[] = {
		"1920",        "1920x",   "x1080",   "1920x1080x24", "0x1080", "1920x0", "-1x5",
		"1920 x 1080", "32768x1", "1x32768", "123456x5",     "",       " "};
	struct fixture *f = *state;
	char text[128];
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(text, sizeof(text), "version = '0.1'\nagent.geometry = '%s'\n",
			       bad[i]);
		assert_fails(load(f, text, &err), ERR_CONFIG);
		assert_non_null(strstr(err.message, "agent.geometry: expected "));
		assert_non_null(strstr(err.message, in_folder(&f->folder, "agent.conf")));
	}
	assert_int_equal(load(f, "version = '0.1'\nagent.geometry = '640x480'\n", &err), 0);
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_fails(agent_config_load(&f->config, in_folder(&f->folder, "none"), &err),
		     ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, in_folder(&f->folder, "none")));
}

static void unknown_settings_do_not_stop_anything(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(
		load(f, "version = '0.1'\nfuture = 1\n[agent]\nx = 'y'\n[z]\na = []\n", &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_with_its_version_alone_gives_the_defaults),
		TEST(a_file_of_the_original_is_read),
		TEST(an_error_names_file_line_key_and_expectation),
		TEST(the_version_is_needed_and_is_this_one),
		TEST(what_is_no_toml_is_an_error_with_its_line),
		TEST(a_geometry_is_two_numbers),
		TEST(a_file_that_is_not_there_is_named),
		TEST(unknown_settings_do_not_stop_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
