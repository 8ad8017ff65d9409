#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/settings.h"
#include "tests/unit/unit.h"

struct config {
	char *name, *path, *level, *free_text, *folders, *words;
	long long port, pause_s;
	bool enabled;
};

#define AT(field) .offset = offsetof(struct config, field)
static const struct setting table[] = {
	{"agent", "host-name", SETTING_STRING, AT(name), .check = CHECK_TEXT},
	{"agent", "folder", SETTING_STRING, AT(path), .default_text = "/var", .check = CHECK_PATH},
	{"log", "level", SETTING_STRING, AT(level), .default_text = "info",
	 .check = "error|info|debug"},
	{"", "note", SETTING_STRING, AT(free_text)},
	{"agent", "port", SETTING_INTEGER, AT(port), .default_number = 8445, .min = 1,
	 .max = 65535},
	{"agent", "enabled", SETTING_BOOLEAN, AT(enabled), .default_number = 1},
	{"agent", "folders", SETTING_LIST, AT(folders), .default_text = "/etc|/usr",
	 .check = CHECK_PATH},
	{"agent", "words", SETTING_LIST, AT(words)},
	{"agent", "pause", SETTING_MINUTES, AT(pause_s), .default_number = 5, .min = 1, .max = 90},
};

static const struct setting flat_table[] = {
	{"", "host-name", SETTING_STRING, AT(name), .check = CHECK_TEXT},
	{"", "port", SETTING_INTEGER, AT(port), .default_number = 8443, .min = 1, .max = 65535},
	{"", "enabled", SETTING_BOOLEAN, AT(enabled), .default_number = 1},
};

static int load(const struct setting *settings, size_t n, struct config *config,
		enum config_grammar grammar, const char *text, struct error *err)
{
	char path[] = "/tmp/test-settings-XXXXXX";
	AUTO(close_p) int fd = mkstemp(path);
	int result;

	*config = (struct config){0};
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -2;
	result = settings_load(settings, n, config, path, grammar, err);
	(void)unlink(path);
	return result;
}

static int load_toml(struct config *config, const char *text, struct error *err)
{
	return load(table, ARRAY_SIZE(table), config, CONFIG_TOML, text, err);
}

static void done(struct config *config)
{
	settings_done(table, ARRAY_SIZE(table), config);
}

static void defaults_hold_where_the_file_is_silent(void **state)
{
	struct config config;
	struct error err = {0};

	(void)state;
	assert_int_equal(settings_load(table, ARRAY_SIZE(table), &config, NULL, CONFIG_TOML, &err),
			 0);
	assert_null(config.name);
	assert_string_equal(config.path, "/var");
	assert_string_equal(config.level, "info");
	assert_int_equal(config.port, 8445);
	assert_true(config.enabled);
	done(&config);
	done(&config);
	assert_null(config.path);
}

static void the_file_fills_the_struct(void **state)
{
	struct config config;
	struct error err = {0};

	(void)state;
	assert_int_equal(load_toml(&config,
				   "note = ''\n[agent]\nhost-name = 'x'\nfolder = '/tmp'\n"
				   "port = +1\nenabled = false\n[log]\nlevel = 'debug'\n",
				   &err),
			 0);
	assert_string_equal(config.name, "x");
	assert_string_equal(config.path, "/tmp");
	assert_string_equal(config.level, "debug");
	assert_string_equal(config.free_text, "");
	assert_int_equal(config.port, 1);
	assert_false(config.enabled);
	done(&config);
}

static void a_list_is_strings_up_to_an_empty_one(void **state)
{
	struct config config;
	struct error err = {0};

	(void)state;
	assert_int_equal(load_toml(&config, "[agent]\nwords = ['a', \"bc\"]\n", &err), 0);
	assert_memory_equal(config.words, "a\0bc\0", 6);
	assert_memory_equal(config.folders, "/etc\0/usr\0", 11);
	done(&config);
	assert_int_equal(load_toml(&config, "[agent]\nfolders = []\n", &err), 0);
	assert_string_equal(config.folders, "");
	assert_string_equal(config.words, "");
	done(&config);
}

static void minutes_may_be_given_with_a_unit(void **state)
{
	static const struct {
		const char *text;
		long long seconds;
	} good[] = {{"", 300},
		    {"pause = 90", 5400},
		    {"pause = '60s'", 60},
		    {"pause = '61s'", 61},
		    {"pause = '90m'", 5400},
		    {"pause = '1h'", 3600}};
	static const char *const wrong[] = {
		"0",       "91",     "'5'",   "'59s'",
		"'5401s'", "'2h'",   "'0h'",  "'s'",
		"''",      "'5d'",   "'5 m'", "'-5m'",
		"true",    "'1.5m'", "1.5",   "'9999999999999999999999999s'"};
	struct config config;
	struct error err = {0};
	char text[80];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		(void)snprintf(text, sizeof(text), "[agent]\n%s\n", good[i].text);
		assert_int_equal(load_toml(&config, text, &err), 0);
		assert_int_equal(config.pause_s, good[i].seconds);
		done(&config);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		(void)snprintf(text, sizeof(text), "[agent]\npause = %s\n", wrong[i]);
		assert_fails(load_toml(&config, text, &err), ERR_CONFIG);
		assert_non_null(strstr(err.message,
				       "line 2: agent.pause: expected minutes from 1 to 90, "
				       "or a time such as '90s'"));
		done(&config);
	}
}

static void letter_case_and_dashes_of_a_key_do_not_matter(void **state)
{
	struct config config;
	struct error err = {0};

	(void)state;
	assert_int_equal(load_toml(&config, "[agent]\nHOST_NAME = 'x'\nPort = 7\n", &err), 0);
	assert_string_equal(config.name, "x");
	assert_int_equal(config.port, 7);
	done(&config);
}

static void the_last_of_several_counts_and_unknown_keys_do_no_harm(void **state)
{
	struct config config;
	struct error err = {0};

	(void)state;
	assert_int_equal(load_toml(&config,
				   "[agent]\nhost_name = 'a'\nhost-name = 'b'\nports = 7\n"
				   "[other]\nport = 9\n",
				   &err),
			 0);
	assert_string_equal(config.name, "b");
	assert_int_equal(config.port, 8445);
	done(&config);
}

static void a_wrong_value_is_told_with_line_key_and_what_was_expected(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"[agent]\nport = 0",
		 "line 2: agent.port: expected an integer from 1 to 65535, got '0'"},
		{"[agent]\nport = '7'",
		 "line 2: agent.port: expected an integer from 1 to 65535, got '7'"},
		{"[agent]\nport = 7.5",
		 "line 2: agent.port: expected an integer from 1 to 65535, got '7.5'"},
		{"[agent]\nenabled = 'yes'",
		 "line 2: agent.enabled: expected true or false, got 'yes'"},
		{"[agent]\nenabled = 1", "line 2: agent.enabled: expected true or false, got '1'"},
		{"[agent]\nhost_name = ''",
		 "line 2: agent.host-name: expected a string that is not empty, got ''"},
		{"[agent]\nhost_name = 5",
		 "line 2: agent.host-name: expected a string that is not empty, got '5'"},
		{"[agent]\nfolder = 'var'",
		 "line 2: agent.folder: expected an absolute path, got 'var'"},
		{"log.level = 'inf'",
		 "line 1: log.level: expected one of error|info|debug, got 'inf'"},
		{"log.level = ''", "line 1: log.level: expected one of error|info|debug, got ''"},
		{"log.level = 'error|info'",
		 "line 1: log.level: expected one of error|info|debug, got 'error|info'"},
		{"note = true", "line 1: note: expected a string, got 'true'"},
		{"note = ['x']", "line 1: note: expected a string, got 'x'"},
		{"agent.folders = ['/a', 'b']",
		 "line 1: agent.folders: expected a list of absolute paths, got '/a'"},
		{"agent.folders = '/a'",
		 "line 1: agent.folders: expected a list of absolute paths, got '/a'"},
		{"agent.words = ['']", "line 1: agent.words: expected a list of strings, got ''"},
	};
	struct config config;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_fails(load_toml(&config, cases[i].text, &err), ERR_CONFIG);
		assert_non_null(strstr(err.message, ": line"));
		assert_string_equal(strstr(err.message, ": line") + 2, cases[i].message);
		done(&config);
	}
}

static void properties_are_read_as_their_setting_wants(void **state)
{
	struct config config;
	struct error err = {0};

	(void)state;
	assert_int_equal(load(flat_table, ARRAY_SIZE(flat_table), &config, CONFIG_PROPERTIES,
			      "host-name = 8443\nport = 9000\nenabled = FALSE\n", &err),
			 0);
	assert_string_equal(config.name, "8443");
	assert_int_equal(config.port, 9000);
	assert_false(config.enabled);
	settings_done(flat_table, ARRAY_SIZE(flat_table), &config);
	assert_fails(load(flat_table, ARRAY_SIZE(flat_table), &config, CONFIG_PROPERTIES,
			  "port = 9000x", &err),
		     ERR_CONFIG);
	settings_done(flat_table, ARRAY_SIZE(flat_table), &config);
}

static void a_property_left_empty_is_not_set(void **state)
{
	struct config config;
	struct error err = {0};

	(void)state;
	assert_int_equal(load(flat_table, ARRAY_SIZE(flat_table), &config, CONFIG_PROPERTIES,
			      "host-name =\nport =\nenabled\n", &err),
			 0);
	assert_null(config.name);
	assert_int_equal(config.port, 8443);
	assert_true(config.enabled);
	settings_done(flat_table, ARRAY_SIZE(flat_table), &config);
}

static int only_errors(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold_where_the_file_is_silent),
		cmocka_unit_test(the_file_fills_the_struct),
		cmocka_unit_test(a_list_is_strings_up_to_an_empty_one),
		cmocka_unit_test(letter_case_and_dashes_of_a_key_do_not_matter),
		cmocka_unit_test(minutes_may_be_given_with_a_unit),
		cmocka_unit_test(the_last_of_several_counts_and_unknown_keys_do_no_harm),
		cmocka_unit_test(a_wrong_value_is_told_with_line_key_and_what_was_expected),
		cmocka_unit_test(properties_are_read_as_their_setting_wants),
		cmocka_unit_test(a_property_left_empty_is_not_set),
	};

	return cmocka_run_group_tests(tests, only_errors, NULL);
}
