#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "ctl/visible.h"

static void assert_visible(const char *text, const char *expected, size_t columns)
{
	AUTO(buf_done) struct buf out = {0};
	struct error err = {0};
	size_t n = 0;

	assert_int_equal(visible_append(&out, text, &n, &err), 0);
	assert_string_equal(out.data ? out.data : "", expected);
	assert_int_equal(n, columns);
}

static void plain_text_stays_as_it_is(void **state)
{
	(void)state;
	assert_visible("", "", 0);
	assert_visible("DOMAIN\\mira 'x'", "DOMAIN\\mira 'x'", 15);
	assert_visible("\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9", 3);
	assert_visible("\xe8\xa8\xad\xe8\xa8\x88", "\xe8\xa8\xad\xe8\xa8\x88", 4);
	assert_visible("e\xcc\x81", "e\xcc\x81", 1); /* a combining accent has no width */
	assert_visible("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", 2);
}

static void what_acts_on_a_terminal_is_escaped(void **state)
{
	(void)state;
	assert_visible("a\x1b[2J\n\r\t\x7f", "a\\x1b[2J\\x0a\\x0d\\x09\\x7f", 24);
	assert_visible("\xc2\x9b", "\\u009b", 6);     /* CSI in one character */
	assert_visible("\xe2\x80\xae", "\\u202e", 6); /* right-to-left override */
	assert_visible("\xe2\x81\xa6x\xe2\x81\xa9", "\\u2066x\\u2069", 13);
	assert_visible("\xd8\x9c\xe2\x80\x8e\xe2\x80\xa8", "\\u061c\\u200e\\u2028", 18);
}

static void bytes_that_are_not_utf8_are_escaped(void **state)
{
	(void)state;
	assert_visible("a\xff"
		       "b",
		       "a\\xffb", 6);
	assert_visible("\xc3", "\\xc3", 4);
	assert_visible("\xc0\xaf", "\\xc0\\xaf", 8);
	assert_visible("\xed\xa0\x80", "\\xed\\xa0\\x80", 12); /* half of a surrogate pair */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_stays_as_it_is),
		cmocka_unit_test(what_acts_on_a_terminal_is_escaped),
		cmocka_unit_test(bytes_that_are_not_utf8_are_escaped),
	};

	visible_use_utf8();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
