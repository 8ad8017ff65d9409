#include "agent/cpu-time.h"

#include <time.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define REST " 4 5 6 7 8 9 10 11 12 13 150 50 20 10 16 17 18"

static void own_time_and_that_of_children_are_told_apart(void **state)
{
	long long per_tick = 1000 / sysconf(_SC_CLK_TCK), ms;

	(void)state;
	assert_true(cpu_time_parse("7 (sh) S" REST, true, &ms));
	assert_int_equal(ms, 230 * per_tick);
	assert_true(cpu_time_parse("7 (sh) S" REST, false, &ms));
	assert_int_equal(ms, 30 * per_tick);
}

static void a_name_may_look_like_the_rest(void **state)
{
	long long ms, plain;

	(void)state;
	assert_true(cpu_time_parse("7 (sh) S" REST, true, &plain));
	assert_true(cpu_time_parse("7 (a) R 1 2 3 (b) S" REST, true, &ms));
	assert_int_equal(ms, plain);
}

static void what_is_no_stat_file_has_no_time(void **state)
{
	long long ms = 42;

	(void)state;
	assert_false(cpu_time_parse("", true, &ms));
	assert_false(cpu_time_parse("7 sh S 4 5", true, &ms));
	assert_false(cpu_time_parse("7 (sh) S 4 5 6 7 8 9 10 11 12 13 150 50", true, &ms));
	assert_false(cpu_time_parse("7 (sh) S 4 5 6 7 8 9 10 11 12 13 99999999999999999999 1 1 1",
				    true, &ms));
	assert_int_equal(ms, 42);
}

static void the_time_of_a_living_process_grows_and_its_user_has_at_least_that(void **state)
{
	long long before = cpu_time_of(getpid(), true);

	(void)state;
	while (cpu_time_of(getpid(), true) < before + 20)
		(void)clock();
	assert_true(cpu_time_of_user(getuid()) >= before + 20);
	assert_int_equal(cpu_time_of(1 << 30, true), 0);
	assert_int_equal(cpu_time_of_user(4000000000U), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_time_and_that_of_children_are_told_apart),
		cmocka_unit_test(a_name_may_look_like_the_rest),
		cmocka_unit_test(what_is_no_stat_file_has_no_time),
		cmocka_unit_test(the_time_of_a_living_process_grows_and_its_user_has_at_least_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
