#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/indent.h"

static void assert_indented(const char *json, const char *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	indent_json(out, json, strlen(json));
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, expected);
	free(text);
}

static void members_stand_on_their_own_lines(void **state)
{
	(void)state;
	assert_indented("{\"b\":1,\"a\" : [ true,null ]}",
			"{\n  \"b\": 1,\n  \"a\": [\n    true,\n    null\n  ]\n}\n");
}

static void what_is_empty_stays_on_its_line(void **state)
{
	(void)state;
	assert_indented(" {} ", "{}\n");
	assert_indented("[[ ],{\n}]", "[\n  [],\n  {}\n]\n");
}

static void strings_and_numbers_keep_their_spelling(void **state)
{
	(void)state;
	assert_indented("[1.10,-0,1E5,12345678901234567890]",
			"[\n  1.10,\n  -0,\n  1E5,\n  12345678901234567890\n]\n");
	assert_indented("[\"{ [,:]\\\"\\\\\",\"\\u00e9 \xc3\xa9\"]",
			"[\n  \"{ [,:]\\\"\\\\\",\n  \"\\u00e9 \xc3\xa9\"\n]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_stand_on_their_own_lines),
		cmocka_unit_test(what_is_empty_stays_on_its_line),
		cmocka_unit_test(strings_and_numbers_keep_their_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
