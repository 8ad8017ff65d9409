#include <limits.h>

#include "common/number.h"
#include "tests/unit/unit.h"

static void whole_decimal_integers_are_read(void **state)
{
	static const struct {
		const char *text;
		long long value;
	} cases[] = {
		{"0", 0},
		{"42", 42},
		{"-7", -7},
		{"007", 7},
		{"9223372036854775807", LLONG_MAX},
		{"-9223372036854775808", LLONG_MIN},
	};
	long long value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(number_parse(cases[i].text, LLONG_MIN, LLONG_MAX, &value));
		assert_true(value == cases[i].value);
	}
}

static void anything_else_is_refused_and_changes_nothing(void **state)
{
	static const char *const cases[] = {
		"",
		"-",
		"+5",
		" 5",
		"5 ",
		"--5",
		"5.0",
		"0x5",
		"5e1",
		"five",
		"5\n",
		"9223372036854775808",
		"1_0",
		"- 5",
		"5\x80",
		"\xd9\xa5",
		"-9223372036854775809",
	};
	long long value = 99;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_false(number_parse(cases[i], LLONG_MIN, LLONG_MAX, &value));
	assert_int_equal(value, 99);
}

static void both_ends_of_the_range_belong_to_it(void **state)
{
	long long value = 99;

	(void)state;
	assert_true(number_parse("1", 1, 3, &value));
	assert_true(number_parse("3", 1, 3, &value));
	assert_false(number_parse("0", 1, 3, &value));
	assert_false(number_parse("4", 1, 3, &value));
	assert_int_equal(value, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_decimal_integers_are_read),
		cmocka_unit_test(anything_else_is_refused_and_changes_nothing),
		cmocka_unit_test(both_ends_of_the_range_belong_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
