#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/config-file.h"
#include "tests/unit/unit.h"

/* Every entry as "line TABLE|key|type|value;", the ends of a list's strings as ','. */
static int write_entry(const struct config_entry *entry, void *userdata, struct error *err)
{
	static const char *const types[] = {"text",  "string",  "integer",
					    "float", "boolean", "list"};
	struct buf *out = userdata;

	if (strcmp(entry->key, "stop") == 0)
		return error_set(err, ERR_INVALID, "stopped");
	if (buf_printf(out, err, "%u %s|%s|%s|", entry->line, entry->table, entry->key,
		       types[entry->type]) < 0)
		return -1;
	for (size_t i = 0; i < entry->value_len; i++) {
		if (buf_append(out, entry->value[i] ? &entry->value[i] : ",", 1, err) < 0)
			return -1;
	}
	return buf_append_text(out, ";", err);
}

struct accepted {
	const char *text, *entries;
};

struct refused {
	const char *text, *message;
};

static void check_accepted(enum config_grammar grammar, const struct accepted *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		AUTO(buf_done) struct buf out = {0};
		struct error err = {0};

		if (config_parse(cases[i].text, strlen(cases[i].text), grammar, write_entry, &out,
				 &err) < 0)
			fail_msg("'%s': %s", cases[i].text, err.message);
		assert_string_equal(out.data ? out.data : "", cases[i].entries);
	}
}

static void check_refused(enum config_grammar grammar, const struct refused *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		AUTO(buf_done) struct buf out = {0};
		struct error err = {0};

		if (config_parse(cases[i].text, strlen(cases[i].text), grammar, write_entry, &out,
				 &err) == 0)
			fail_msg("'%s' was accepted: %s", cases[i].text, out.data ? out.data : "");
		assert_int_equal(err.code, ERR_CONFIG);
		assert_string_equal(err.message, cases[i].message);
	}
}

static void toml_values_have_their_types(void **state)
{
	static const struct accepted cases[] = {
		{"", ""},
		{"\n\n# comment\n  \t\n", ""},
		{"a = 'x'", "1 |a|string|x;"},
		{"a=\"x\"\n", "1 |a|string|x;"},
		{"a = ''\nb = \"\"", "1 |a|string|;2 |b|string|;"},
		{"a = 5 # five\r\nb = -7\r\n", "1 |a|integer|5;2 |b|integer|-7;"},
		{"a = +8445", "1 |a|integer|8445;"},
		{"a = 0\nb = -0", "1 |a|integer|0;2 |b|integer|-0;"},
		{"a = 9223372036854775807", "1 |a|integer|9223372036854775807;"},
		{"a = 1.5\nb = -2e10\nc = 6.0E-3",
		 "1 |a|float|1.5;2 |b|float|-2e10;3 |c|float|6.0E-3;"},
		{"a = +1.5", "1 |a|float|1.5;"},
		{"a = true\nb = false#no", "1 |a|boolean|true;2 |b|boolean|false;"},
		{"a = []", "1 |a|list|;"},
		{"a = [ 'x' , \"y\" , ]", "1 |a|list|x,y,;"},
		{"a = ['']", "1 |a|list|,;"},
	};

	(void)state;
	check_accepted(CONFIG_TOML, cases, ARRAY_SIZE(cases));
}

static void toml_strings_keep_what_is_quoted(void **state)
{
	static const struct accepted cases[] = {
		{"a = 'C:\\temp # no comment'", "1 |a|string|C:\\temp # no comment;"},
		{"a = \"tab\\tquote\\\"back\\\\slash\\n\"",
		 "1 |a|string|tab\tquote\"back\\slash\n;"},
		{"a = \"\\u00e9\\U0001F600\"", "1 |a|string|\u00e9\U0001f600;"},
		{"a = \"it's\"\nb = 'say \"x\"'", "1 |a|string|it's;2 |b|string|say \"x\";"},
		{"a = \"na\u00efve\"", "1 |a|string|na\u00efve;"},
	};

	(void)state;
	check_accepted(CONFIG_TOML, cases, ARRAY_SIZE(cases));
}

static void toml_tables_and_dotted_keys_name_the_same_setting(void **state)
{
	static const struct accepted cases[] = {
		{"v = 1\n[agent]\nport = 2\n[ log ] # x\nlevel = 3",
		 "1 |v|integer|1;3 agent|port|integer|2;5 log|level|integer|3;"},
		{"agent.port = 2\nv = 1", "1 agent|port|integer|2;2 |v|integer|1;"},
		{"[a.b]\nc . d = 1\ne = 2", "2 a.b.c|d|integer|1;3 a.b|e|integer|2;"},
		{"'quoted key' = 1\n[\"quoted table\"]\nx = 1",
		 "1 |quoted key|integer|1;3 quoted table|x|integer|1;"},
		{"a-b_C9 = 1", "1 |a-b_C9|integer|1;"},
	};

	(void)state;
	check_accepted(CONFIG_TOML, cases, ARRAY_SIZE(cases));
}

static void other_toml_is_an_error_with_its_line(void **state)
{
	static const struct refused cases[] = {
		{"a = 1\nb = \"\"\"x\"\"\"", "line 2: multi-line strings are not supported"},
		{"[[x]]", "line 1: arrays of tables are not supported"},
		{"\n\na = {b = 1}", "line 3: expected a quoted string, a number, true, false or a "
				    "list of strings"},
		{"a = 1979-05-27", "line 1: expected a quoted string, a number, true, false or a "
				   "list of strings"},
		{"a = 0x10", "line 1: expected a quoted string, a number, true, false or a list of "
			     "strings"},
		{"a = [1, 2]", "line 1: expected a list of strings on one line"},
		{"a = [\n'x']", "line 1: expected a list of strings on one line"},
		{"a = ['x' 'y']", "line 1: expected ',' or ']' in a list"},
		{"a = ['x'", "line 1: expected ',' or ']' in a list"},
	};

	(void)state;
	check_refused(CONFIG_TOML, cases, ARRAY_SIZE(cases));
}

static void what_is_no_toml_is_an_error_with_its_line(void **state)
{
	static const char value[] =
		"line 1: expected a quoted string, a number, true, false or a list of strings";
	static const struct refused cases[] = {
		{"a", "line 1: expected '=' after the key"},
		{"a =", value},
		{"a = x", value},
		{"a = TRUE", value},
		{"a = +-5", value},
		{"a = --5", value},
		{"a = 010", value},
		{"a = 01.5", value},
		{"a = +-1.5", value},
		{"a = 1.", value},
		{"a = .5", value},
		{"a = 1e", value},
		{"a = 1e+-5", value},
		{"a = 9223372036854775808x", value},
		{"= 1", "line 1: expected a key"},
		{"a. = 1", "line 1: expected a key"},
		{"\n[a\nb = 1", "line 2: expected ']' after the table's name"},
		{"[]", "line 1: expected a key"},
		{"[a] b", "line 1: unexpected text after the value"},
		{"a = 1 2", "line 1: unexpected text after the value"},
		{"a = 'x' y", "line 1: unexpected text after the value"},
		{"a = 'x", "line 1: the string does not end on its line"},
		{"a = \"x\nb = 1", "line 1: the string does not end on its line"},
		{"a = \"\\x41\"", "line 1: unknown escape in a string"},
		{"a = \"\\", "line 1: unknown escape in a string"},
		{"a = \"\\u12\"", "line 1: expected hexadecimal digits after \\u"},
		{"a = \"\\u0000\"", "line 1: \\u escape is not a character"},
		{"a = \"\\ud800\"", "line 1: \\u escape is not a character"},
		{"a = \"\\UFFFFFFFF\"", "line 1: \\u escape is not a character"},
	};

	(void)state;
	check_refused(CONFIG_TOML, cases, ARRAY_SIZE(cases));
}

static void properties_come_in_every_form_of_java(void **state)
{
	static const struct accepted cases[] = {
		{"", ""},
		{"# c\n ! c\n\n", ""},
		{"a = b", "1 |a|text|b;"},
		{"a=b\na:b\na b\na\tb\na : = b", "1 |a|text|b;2 |a|text|b;3 |a|text|b;4 |a|text|b;"
						 "5 |a|text|= b;"},
		{"  a  =  b c  \r\n", "1 |a|text|b c;"},
		{"a\nb =\nc", "1 |a|text|;2 |b|text|;3 |c|text|;"},
		{"a = x # y ! z", "1 |a|text|x # y ! z;"},
		{"a\\ b\\=c\\:d = 1", "1 |a b=c:d|text|1;"},
		{"a = \\t\\n\\r\\f\\\\\\x\\\"", "1 |a|text|\t\n\r\f\\x\";"},
		{"a = \\u00e9\\u20AC", "1 |a|text|\u00e9\u20ac;"},
		{"a = b\\\n   c\\\r\n\td\ne = f", "1 |a|text|bcd;4 |e|text|f;"},
		{"a = b\\", "1 |a|text|b;"},
		{"a = b\\\n", "1 |a|text|b;"},
		{"a = \\ b\\ ", "1 |a|text| b ;"},
		{"a = b\\t  ", "1 |a|text|b\t;"},
		{"= b", "1 ||text|b;"},
		{"client-to-broker-connector-https-port = 8443",
		 "1 |client-to-broker-connector-https-port|text|8443;"},
	};

	(void)state;
	check_accepted(CONFIG_PROPERTIES, cases, ARRAY_SIZE(cases));
}

static void a_bad_escape_in_properties_is_an_error_with_its_line(void **state)
{
	static const struct refused cases[] = {
		{"a = 1\nb = \\u12", "line 2: expected hexadecimal digits after \\u"},
		{"a = \\uzzzz", "line 1: expected hexadecimal digits after \\u"},
		{"a = x\\\n  \\u0000", "line 2: \\u escape is not a character"},
		{"a = \\udc00", "line 1: \\u escape is not a character"},
	};

	(void)state;
	check_refused(CONFIG_PROPERTIES, cases, ARRAY_SIZE(cases));
}

/* A NUL would cut the value for everybody who reads it as a text. */
static void a_nul_byte_is_refused_wherever_it_stands(void **state)
{
	static const struct {
		enum config_grammar grammar;
		const char *text;
		size_t len;
	} cases[] = {
		{CONFIG_TOML, "a = 'x\0y'", 9},       {CONFIG_TOML, "a\0 = 1", 6},
		{CONFIG_TOML, "a = 1\0", 6},          {CONFIG_TOML, "a = \"\\\0\"", 8},
		{CONFIG_TOML, "# a\0b", 5},           {CONFIG_TOML, "a = 1 #\0", 8},
		{CONFIG_PROPERTIES, "a = x\0y", 7},   {CONFIG_PROPERTIES, "a\0 = x", 6},
		{CONFIG_PROPERTIES, "a = x\\\0y", 8}, {CONFIG_PROPERTIES, "\\\0 = x", 6},
	};
	AUTO(buf_done) struct buf out = {0};
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_fails(config_parse(cases[i].text, cases[i].len, cases[i].grammar,
					  write_entry, &out, &err),
			     ERR_CONFIG);
}

static void the_callback_can_stop_the_reading(void **state)
{
	static const char text[] = "a = 1\nstop = 2\nb = 3";
	AUTO(buf_done) struct buf out = {0};
	struct error err;

	(void)state;
	assert_fails(config_parse(text, strlen(text), CONFIG_TOML, write_entry, &out, &err),
		     ERR_INVALID);
	assert_string_equal(err.message, "stopped");
	assert_string_equal(out.data, "1 |a|integer|1;");
}

static void errors_of_a_file_begin_with_its_path(void **state)
{
	AUTO(buf_done) struct buf out = {0};
	char path[] = "/tmp/test-config-XXXXXX", expected[128];
	AUTO(close_p) int fd = mkstemp(path);
	struct error err;

	(void)state;
	assert_int_equal(write(fd, "a = 1\nb\n", 8), 8);
	assert_fails(config_parse_file(path, CONFIG_TOML, write_entry, &out, &err), ERR_CONFIG);
	(void)snprintf(expected, sizeof(expected), "%s: line 2: expected '=' after the key", path);
	assert_string_equal(err.message, expected);
	(void)unlink(path);
	assert_fails(config_parse_file(path, CONFIG_TOML, write_entry, &out, &err), ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(toml_values_have_their_types),
		cmocka_unit_test(toml_strings_keep_what_is_quoted),
		cmocka_unit_test(toml_tables_and_dotted_keys_name_the_same_setting),
		cmocka_unit_test(other_toml_is_an_error_with_its_line),
		cmocka_unit_test(what_is_no_toml_is_an_error_with_its_line),
		cmocka_unit_test(properties_come_in_every_form_of_java),
		cmocka_unit_test(a_bad_escape_in_properties_is_an_error_with_its_line),
		cmocka_unit_test(a_nul_byte_is_refused_wherever_it_stands),
		cmocka_unit_test(the_callback_can_stop_the_reading),
		cmocka_unit_test(errors_of_a_file_begin_with_its_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
