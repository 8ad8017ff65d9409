#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/sentence.h"

static void assert_becomes(const char *text, const char *expected)
{
	char copy[128];

	(void)snprintf(copy, sizeof(copy), "%s", text);
	sentence_make_valid(copy);
	assert_string_equal(copy, expected);
}

static void valid_text_stays(void **state)
{
	(void)state;
	assert_becomes("", "");
	assert_becomes("plain", "plain");
	assert_becomes("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		       "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void what_is_not_utf8_is_marked(void **state)
{
	(void)state;
	assert_becomes("a\xff\xfe", "a??");
	assert_becomes("cut \xe2\x82", "cut ??");
	assert_becomes("overlong \xc0\xaf", "overlong ??");
	assert_becomes("surrogate \xed\xa0\x80", "surrogate ???");
	assert_becomes("beyond \xf4\x90\x80\x80", "beyond ????");
	assert_becomes("lone \x80", "lone ?");
}

static void control_characters_are_marked(void **state)
{
	(void)state;
	assert_becomes("a\nb\033c\x7f", "a?b?c?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_text_stays),
		cmocka_unit_test(what_is_not_utf8_is_marked),
		cmocka_unit_test(control_characters_are_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
