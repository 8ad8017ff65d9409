#include "agent/config.h"

#include "agent/conf-edit.h"
#include "tests/unit/agent/fixture.h"

struct fixture {
	struct folder folder;
	struct agent_config config;
	struct log_catch log;
};

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	folder_make(&f.folder);
	log_catch_begin(&f.log, &f.folder);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	agent_config_done(&f->config);
	log_catch_end(&f->log);
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
	assert_true(f->config.query_logged_in_users);
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
		{"dcv_timeout = 'x'",
		 "agent.dcv_timeout: expected an integer from 1 to 600, got 'x'"},
		{"enable_logged_users_windows = 'yes'",
		 "agent.enable_query_logged_in_users: expected true or false, got 'yes'"},
		{"engine = 'wayland'", "agent.engine: expected one of auto|x11|dcv, got 'wayland'"},
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
	assert_int_equal(log_catch_count(&f->log, "unknown setting"), 3);
	assert_int_equal(log_catch_count(&f->log, "line 4: unknown setting agent.x ignored"), 1);
}

/* Two configurations are the same if every setting of the list is. */
static void assert_same(const struct agent_config *a, const struct agent_config *b)
{
#define STRING(table, key, field, default_value, check, help)                                      \
	assert_int_equal(!a->field, !b->field);                                                    \
	if (a->field)                                                                              \
		assert_string_equal(a->field, b->field);
#define INTEGER(table, key, field, default_value, least, most, help)                               \
	assert_int_equal(a->field, b->field);
#define BOOLEAN(table, key, field, default_value, help) assert_int_equal(a->field, b->field);
#define LIST(table, key, field, default_value, check, help) assert_string_equal(a->field, b->field);
#include "agent/settings.def"
}

/* The printed file; with @all, the settings in its comments count too, unless they have no value. */
static char *print_settings(bool all)
{
	char *text = NULL, *edited;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);

	assert_non_null(memory);
	agent_config_print(SETTINGS_FILE, memory);
	assert_int_equal(fclose(memory), 0);
	edited = calloc(1, size + 1);
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		size_t len = strcspn(line, "\n") + 1;
		bool is_comment = strncmp(line, "# ", 2) == 0;
		size_t key = is_comment ? strspn(line + 2, "abcdefghijklmnopqrstuvwxyz_-") : 0;
		bool is_setting = is_comment && strncmp(line + 2 + key, " = ", 3) == 0 &&
				  line[2 + key + 3] != '\n' &&
				  strncmp(line + 2 + key + 3, "''", 2) != 0;

		(void)strncat(edited, line + (all && is_setting ? 2 : 0),
			      len - (all && is_setting ? 2 : 0));
	}
	free(text);
	return edited;
}

static void the_shipped_file_says_what_holds_without_it(void **state)
{
	struct fixture *f = *state;
	struct agent_config defaults = {0};
	struct error err;

	assert_int_equal(load(f, "version = '0.1'\n", &err), 0);
	defaults = f->config;
	f->config = (struct agent_config){0};
	for (int all = 0; all < 2; all++) {
		AUTO(free_p) char *text = print_settings(all);

		assert_non_null(strstr(text, "\nversion = '0.1'\n"));
		assert_non_null(
			strstr(text, all ? "\nbroker_port = 8445\n" : "\n# broker_port = 8445\n"));
		assert_int_equal(load(f, text, &err), 0);
		assert_same(&f->config, &defaults);
	}
	assert_int_equal(log_catch_count(&f->log, "agent.conf"), 0);
	agent_config_done(&defaults);
}

static void the_shipped_file_can_be_told_of_a_broker(void **state)
{
	const struct conf_wish wish = {"b.example", 9445, "/etc/ca.pem"};
	struct fixture *f = *state;
	AUTO(free_p) char *shipped = print_settings(false);
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	assert_int_equal(conf_edit(put(&f->folder, "agent.conf", shipped), &wish, &text, &err), 0);
	assert_int_equal(load(f, text.data, &err), 0);
	assert_string_equal(f->config.broker_host, "b.example");
	assert_int_equal(f->config.broker_port, 9445);
	assert_string_equal(f->config.ca_file, "/etc/ca.pem");
}

static void every_setting_of_the_reference_is_known(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(load(f,
			      "version = '0.1'\n[agent]\nbroker_host = 'b'\nbroker_port = 8445\n"
			      "ca_file = '/c'\ntls_strict = true\nsoftware_statement_path = '/s'\n"
			      "init_folder = '/i'\nautorun_folder = '/a'\ntags_folder = '/t'\n"
			      "max_virtual_sessions = -1\nmax_concurrent_sessions_per_user = -1\n"
			      "broker_update_interval = 10\nenable_query_logged_in_users = false\n"
			      "preferred_network_interface = 'eth0'\ndcv_root = '/usr/bin/dcv'\n"
			      "dcv_timeout = 30\nengine = 'x11'\nminimum_uid = 500\n"
			      "admin_group = 'wheel'\nsession-screenshot-format = 'jpeg'\n"
			      "session-screenshot-max-width = 200\n"
			      "session_screenshot_max_height = 150\ngeometry = '800x600'\n"
			      "default_session = '/bin/x'\ncreate_timeout = 5\ndelete_grace = 1\n"
			      "idle_disconnected_minutes = 0\nidle_minutes = 30\n"
			      "metrics_port = 0\n[viewer]\nport = 8443\nbind_host = '0.0.0.0'\n"
			      "certificate = '/c'\nkey = '/k'\nweb_url_path = '/'\n"
			      "[log]\nlevel = 'info'\ndirectory = '/l'\n"
			      "rotation = 'hourly'\nmax-file-size = 1000000\nrotate = 3\n"
			      "[agent]\npermissions_import_folders = ['/etc/dcv', '/x']\n",
			      &err),
			 0);
	assert_int_equal(log_catch_count(&f->log, "unknown setting"), 0);
	assert_false(f->config.query_logged_in_users);
	assert_string_equal(f->config.screenshot_format, "jpeg");
	assert_int_equal(f->config.screenshot_max_width, 200);
	assert_int_equal(f->config.screenshot_max_height, 150);
	assert_int_equal(f->config.idle_disconnected_s, 0);
	assert_int_equal(f->config.idle_quiet_s, 1800);
	assert_int_equal(f->config.idle_warning_s, 300);
}

static void an_exemption_that_means_nothing_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_fails(load(f, "version = '0.1'\n[agent]\nidle_exempt = ['keep']\n", &err),
		     ERR_CONFIG);
	assert_non_null(strstr(err.message, "agent.idle_exempt: expected 'tag:NAME'"));
}

static void an_earlier_name_is_the_same_setting(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(
		load(f, "version = '0.1'\nagent.enable_logged_users_windows = false\n", &err), 0);
	assert_false(f->config.query_logged_in_users);
	assert_int_equal(load(f,
			      "version = '0.1'\n[agent]\nenable-logged-users-windows = false\n"
			      "enable_query_logged_in_users = true\n",
			      &err),
			 0);
	assert_true(f->config.query_logged_in_users);
	assert_int_equal(log_catch_count(&f->log, "was given in line 3 already"), 1);
}

static void what_cannot_be_done_is_refused_by_name(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_fails(load(f, "version = '0.1'\nagent.max_concurrent_sessions_per_user = 0\n", &err),
		     ERR_CONFIG);
	assert_non_null(strstr(err.message, "expected -1 or an integer from 1, got '0'"));
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
		TEST(the_shipped_file_says_what_holds_without_it),
		TEST(the_shipped_file_can_be_told_of_a_broker),
		TEST(every_setting_of_the_reference_is_known),
		TEST(an_exemption_that_means_nothing_is_refused),
		TEST(an_earlier_name_is_the_same_setting),
		TEST(what_cannot_be_done_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
