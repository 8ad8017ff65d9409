#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker-lite/setback.h"

#define FIRST_MS 60000

static void three_failures_within_the_window_set_back(void **state)
{
	struct setback s = {0};

	(void)state;
	assert_false(setback_fail(&s, 1, FIRST_MS));
	assert_false(setback_fail(&s, 2, FIRST_MS));
	/* the first two are forgotten by now */
	assert_false(setback_fail(&s, 3 + SETBACK_WINDOW_MS, FIRST_MS));
	assert_false(setback_fail(&s, 4 + SETBACK_WINDOW_MS, FIRST_MS));
	assert_int_equal(setback_left_ms(&s, 4 + SETBACK_WINDOW_MS), 0);
	assert_true(setback_fail(&s, 5 + SETBACK_WINDOW_MS, FIRST_MS));
	assert_int_equal(setback_left_ms(&s, 6 + SETBACK_WINDOW_MS), FIRST_MS - 1);
}

static void a_failed_probe_doubles_the_time_up_to_a_limit(void **state)
{
	struct setback s = {0};
	unsigned long long now = 1000, lengths[] = {2, 4, 8, 10, 10};

	(void)state;
	for (int i = 0; i < 3; i++)
		(void)setback_fail(&s, now, FIRST_MS);
	assert_int_equal(setback_left_ms(&s, now), FIRST_MS);
	assert_false(setback_fail(&s, now + 1, FIRST_MS)); /* was on its way before */
	assert_int_equal(setback_left_ms(&s, now), FIRST_MS);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		now = s.until_ms;
		assert_true(setback_fail(&s, now, FIRST_MS));
		assert_int_equal(setback_left_ms(&s, now), lengths[i] * FIRST_MS);
	}
}

static void success_forgets_everything(void **state)
{
	struct setback s = {0};

	(void)state;
	assert_false(setback_succeed(&s));
	for (int i = 0; i < 3; i++)
		(void)setback_fail(&s, 5, FIRST_MS);
	assert_true(setback_succeed(&s));
	assert_int_equal(setback_left_ms(&s, 6), 0);
	assert_false(setback_fail(&s, 7, FIRST_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_failures_within_the_window_set_back),
		cmocka_unit_test(a_failed_probe_doubles_the_time_up_to_a_limit),
		cmocka_unit_test(success_forgets_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
