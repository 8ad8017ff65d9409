#include <string.h>

#include "common/json.h"
#include "tests/unit/unit.h"

static void a_value_of_any_type_is_read_and_written(void **state)
{
	static const char *const cases[] = {
		"{\"a\":[1,-2.5,true,null,\"x\"]}",
		"[]",
		"{}",
		"null",
		"5",
		"[{},{\"k\":{\"\\\"\":[[]]}},false]",
		"-9223372036854775808",
		"[1.0,0.25]",
		"\"\\\\/\"",
		"\"\u00e9\"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf_done) struct buf text = {0};
		json_auto_t *value = NULL;
		struct error err = {0};

		assert_int_equal(json_parse(cases[i], strlen(cases[i]), &value, &err), 0);
		assert_int_equal(json_append(&text, value, &err), 0);
		assert_string_equal(text.data, cases[i]);
	}
}

static void a_value_that_could_not_be_made_is_a_failure(void **state)
{
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	(void)state;
	assert_fails(json_append(&text, NULL, &err), ERR_NO_MEMORY);
	assert_int_equal(text.len, 0);
}

static void what_is_no_json_is_refused_with_the_spot(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[1,]",
		"{\"a\":1,}",
		"{\"a\":1} x",
		"{'a':1}",
		"NaN",
		"01",
		"\"\\ud800\"",
		"\"\xff\"",
		"\"\\u0000\"",
		"{\"\\u0000\":1}",
		"1e999",
		"9223372036854775808",
		"{\"a\":1,\"a\":2}",
		"\"a\nb\"",
		"//x\n1",
		"[1] [2]",
		"truex",
	};
	json_t *value = NULL;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (json_parse(bad[i], strlen(bad[i]), &value, &err) == 0)
			fail_msg("'%s' was accepted", bad[i]);
		assert_int_equal(err.code, ERR_INVALID);
		assert_non_null(strstr(err.message, "line"));
		assert_null(value);
	}
	assert_fails(json_parse("[1]\0", 4, &value, &err), ERR_INVALID);
}

static void a_number_that_is_too_large_is_refused_by_name(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"[{\"MaxWidth\": 9223372036854775808}]", "MaxWidth: invalid JSON at line 1"},
		{"{\"a\":1,\"b\":[1, -1e999]}", "b: invalid JSON at line 1"},
		{"[1,9223372036854775808]", "invalid JSON at line 1"},
		{"{\"\":9223372036854775808}", ": invalid JSON at line 1"},
	};
	json_t *value = NULL;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_fails(json_parse(cases[i].text, strlen(cases[i].text), &value, &err),
			     ERR_INVALID);
		assert_memory_equal(err.message, cases[i].message, strlen(cases[i].message));
	}
}

static void very_deep_nesting_is_refused(void **state)
{
	AUTO(buf_done) struct buf text = {0};
	json_t *value = NULL;
	struct error err;

	(void)state;
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf_append_text(&text, "[", &err), 0);
	assert_fails(json_parse(text.data, text.len, &value, &err), ERR_INVALID);
}

static void strings_are_escaped_and_always_utf8(void **state)
{
	static const struct {
		const char *given, *written;
	} cases[] = {
		{"", "\"\""},
		{"a\"b\\c/", "\"a\\\"b\\\\c/\""},
		{"\n\x01\x1f\x7f", "\"\\u000a\\u0001\\u001f\x7f\""},
		{"\u00e9\u20ac\U0001f600", "\"\u00e9\u20ac\U0001f600\""},
		{"a\xff\xfe"
		 "b",
		 "\"a\ufffd\ufffdb\""},
		{"\xc3", "\"\ufffd\""},
		{"\xe2\x82", "\"\ufffd\ufffd\""},
		{"\xc0\xaf", "\"\ufffd\ufffd\""},
		{"\xed\xa0\x80", "\"\ufffd\ufffd\ufffd\""},
		{"\xf4\x90\x80\x80", "\"\ufffd\ufffd\ufffd\ufffd\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf_done) struct buf text = {0};
		json_auto_t *value = NULL;
		struct error err = {0};

		assert_int_equal(json_append_string(&text, cases[i].given, &err), 0);
		assert_string_equal(text.data, cases[i].written);
		assert_int_equal(json_parse(text.data, text.len, &value, &err), 0);
	}
}

/* It is read eight bytes at a time where it can be. */
static void every_character_is_written_alike_wherever_it_is(void **state)
{
	(void)state;
	for (unsigned c = 1; c < 0x80; c++) {
		for (size_t at = 0; at < 20; at++) {
			char given[] = "abcdefghijklmnopqrst";
			AUTO(buf_done) struct buf text = {0};
			json_auto_t *value = NULL;
			bool is_plain = c >= 0x20 && c != '"' && c != '\\';
			struct error err = {0};

			given[at] = (char)c;
			assert_int_equal(json_append_string(&text, given, &err), 0);
			assert_int_equal(text.len == strlen(given) + 2, is_plain);
			assert_int_equal(json_parse(text.data, text.len, &value, &err), 0);
			assert_string_equal(json_string_value(value), given);
		}
	}
}

static void texts_of_an_object_are_set_where_there_are_any(void **state)
{
	json_auto_t *object = json_object();

	(void)state;
	json_set_text(object, "a", "x");
	json_set_text(object, "none", NULL);
	json_set_text(object, "bytes", "\xff");
	assert_string_equal(json_get_text(object, "a"), "x");
	assert_null(json_get_text(object, "none"));
	assert_null(json_get_text(object, "bytes"));
	assert_int_equal(json_object_size(object), 1);
	(void)json_object_set_new(object, "n", json_integer(1));
	assert_null(json_get_text(object, "n"));
	assert_null(json_get_text(NULL, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_of_any_type_is_read_and_written),
		cmocka_unit_test(a_value_that_could_not_be_made_is_a_failure),
		cmocka_unit_test(what_is_no_json_is_refused_with_the_spot),
		cmocka_unit_test(a_number_that_is_too_large_is_refused_by_name),
		cmocka_unit_test(very_deep_nesting_is_refused),
		cmocka_unit_test(strings_are_escaped_and_always_utf8),
		cmocka_unit_test(every_character_is_written_alike_wherever_it_is),
		cmocka_unit_test(texts_of_an_object_are_set_where_there_are_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
