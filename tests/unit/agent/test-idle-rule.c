#include "agent/idle-rule.h"

#include "tests/unit/unit.h"

#define MINUTE 60000LL
#define START 1000000LL

/* After 30 minutes without a client, or 10 quiet ones; told 5 minutes before. */
static const struct idle_rule both = {
	.disconnected_ms = 30 * MINUTE,
	.quiet_ms = 10 * MINUTE,
	.warning_ms = 5 * MINUTE,
	.cpu_percent = 5,
};
static const struct idle_rule disconnected = {
	.disconnected_ms = 30 * MINUTE, .warning_ms = 5 * MINUTE, .cpu_percent = 5};
static const struct idle_rule at_once = {.disconnected_ms = 30 * MINUTE};

static struct idle_state empty_from_start(void)
{
	struct idle_state s = {0};

	idle_state_look(&s, START, 0, 0);
	return s;
}

static enum idle_step step_at(const struct idle_state *s, const struct idle_rule *rule,
			      long long minutes, long long ms)
{
	return idle_judge(s, rule, START + minutes * MINUTE + ms).step;
}

/* A sample each minute, of programs that have used @percent of one processor. */
static void run_programs(struct idle_state *s, const struct idle_rule *rule, long long first,
			 long long last, long long percent)
{
	long long cpu_ms = s->cpu_ms;

	for (long long minute = first; minute <= last; minute++) {
		idle_state_look(s, START + minute * MINUTE, 0, 0);
		idle_state_sample(s, rule, START + minute * MINUTE, cpu_ms);
		cpu_ms += MINUTE * percent / 100;
	}
}

static void a_session_with_a_client_is_in_use(void **state)
{
	struct idle_state s = empty_from_start();

	(void)state;
	idle_state_look(&s, START + 1, 1, 0);
	assert_int_equal(step_at(&s, &both, 10000, 0), IDLE_IN_USE);
	s = (struct idle_state){0};
	assert_int_equal(step_at(&s, &both, 0, 0), IDLE_IN_USE); /* not looked at: not idle */
}

static void without_a_warning_it_ends_when_the_time_is_over_and_not_before(void **state)
{
	const struct idle_state s = empty_from_start();
	struct idle_verdict v = idle_judge(&s, &at_once, START);

	(void)state;
	assert_int_equal(v.step, IDLE_COUNTING);
	assert_int_equal(v.cause, IDLE_DISCONNECTED);
	assert_int_equal(v.since_ms, START);
	assert_int_equal(v.end_ms, START + 30 * MINUTE);
	assert_int_equal(step_at(&s, &at_once, 30, -1), IDLE_COUNTING);
	assert_int_equal(step_at(&s, &at_once, 30, 0), IDLE_TO_END);
}

static void the_warning_comes_as_long_before_as_the_rule_says(void **state)
{
	struct idle_state s = empty_from_start();

	(void)state;
	assert_int_equal(step_at(&s, &disconnected, 25, -1), IDLE_COUNTING);
	assert_int_equal(step_at(&s, &disconnected, 25, 0), IDLE_TO_WARN);
	s.warned_ms = START + 25 * MINUTE;
	assert_int_equal(step_at(&s, &disconnected, 25, 0), IDLE_WARNED);
	assert_int_equal(step_at(&s, &disconnected, 30, -1), IDLE_WARNED);
	assert_int_equal(step_at(&s, &disconnected, 30, 0), IDLE_TO_END);
}

static void a_late_warning_puts_the_end_off(void **state)
{
	struct idle_state s = empty_from_start();
	struct idle_verdict v = idle_judge(&s, &disconnected, START + 500 * MINUTE);

	(void)state;
	assert_int_equal(v.step, IDLE_TO_WARN);
	assert_int_equal(v.end_ms, START + 505 * MINUTE);
	s.warned_ms = START + 500 * MINUTE;
	assert_int_equal(step_at(&s, &disconnected, 505, -1), IDLE_WARNED);
	assert_int_equal(step_at(&s, &disconnected, 505, 0), IDLE_TO_END);
}

static void a_warning_takes_at_most_half_of_the_time(void **state)
{
	const struct idle_rule rule = {.disconnected_ms = 2 * MINUTE, .warning_ms = 5 * MINUTE};
	const struct idle_state s = empty_from_start();

	(void)state;
	assert_int_equal(step_at(&s, &rule, 1, -1), IDLE_COUNTING);
	assert_int_equal(step_at(&s, &rule, 1, 0), IDLE_TO_WARN);
}

static void a_client_begins_the_time_anew(void **state)
{
	struct idle_state s = empty_from_start();

	(void)state;
	s.warned_ms = START + 25 * MINUTE;
	idle_state_look(&s, START + 26 * MINUTE, 2, 0);
	idle_state_look(&s, START + 27 * MINUTE, 0, 0);
	assert_int_equal(s.warned_ms, 0);
	assert_int_equal(idle_judge(&s, &disconnected, START + 27 * MINUTE).end_ms,
			 START + 57 * MINUTE);
}

static void a_visit_between_two_looks_is_told_by_its_end(void **state)
{
	struct idle_state s = empty_from_start();

	(void)state;
	idle_state_look(&s, START + 20 * MINUTE, 0, 0);
	assert_int_equal(s.empty_since_ms, START);
	idle_state_look(&s, START + 21 * MINUTE, 0, 1790000000000);
	assert_int_equal(s.empty_since_ms, START + 21 * MINUTE);
	/* the wall clock was set back: another time, so another visit, and nobody ends too early */
	idle_state_look(&s, START + 22 * MINUTE, 0, 1780000000000);
	assert_int_equal(s.empty_since_ms, START + 22 * MINUTE);
	idle_state_look(&s, START + 23 * MINUTE, 0, 1780000000000);
	assert_int_equal(s.empty_since_ms, START + 22 * MINUTE);
}

static void quiet_programs_count_from_the_look_that_began_the_quiet(void **state)
{
	struct idle_state s = empty_from_start();
	struct idle_verdict v;

	(void)state;
	run_programs(&s, &both, 0, 3, 50);
	assert_int_equal(s.percent, 50);
	v = idle_judge(&s, &both, START + 3 * MINUTE);
	assert_int_equal(v.cause, IDLE_DISCONNECTED); /* the other reason does not hold */
	run_programs(&s, &both, 4, 5, 1);
	assert_int_equal(s.percent, 1);
	v = idle_judge(&s, &both, START + 5 * MINUTE);
	assert_int_equal(v.step, IDLE_COUNTING);
	assert_int_equal(v.cause, IDLE_QUIET);
	assert_int_equal(v.since_ms, START + 3 * MINUTE);
	assert_int_equal(v.end_ms, START + 13 * MINUTE);
}

static void programs_at_the_limit_are_not_quiet(void **state)
{
	struct idle_state s = empty_from_start();

	(void)state;
	run_programs(&s, &both, 0, 5, 5);
	assert_true(s.has_percent);
	assert_int_equal(s.quiet_since_ms, 0);
	run_programs(&s, &both, 6, 8, 4);
	assert_int_equal(s.quiet_since_ms, START + 6 * MINUTE - MINUTE);
}

static void only_what_is_not_quiet_is_busy(void **state)
{
	const struct idle_rule rule = {.quiet_ms = 10 * MINUTE, .cpu_percent = 5};
	struct idle_state s = empty_from_start();

	(void)state;
	assert_int_equal(step_at(&s, &rule, 100, 0), IDLE_BUSY); /* not known is not quiet */
	run_programs(&s, &rule, 0, 20, 60);
	assert_int_equal(step_at(&s, &rule, 20, 0), IDLE_BUSY);
	run_programs(&s, &rule, 21, 29, 0);
	assert_int_equal(step_at(&s, &rule, 29, 0), IDLE_COUNTING);
	run_programs(&s, &rule, 30, 30, 0);
	assert_int_equal(step_at(&s, &rule, 30, 0), IDLE_TO_END);
	run_programs(&s, &rule, 31, 32, 60);
	assert_int_equal(step_at(&s, &rule, 32, 0), IDLE_BUSY);
}

static void silence_about_the_programs_is_not_quiet(void **state)
{
	const struct idle_rule rule = {.quiet_ms = 10 * MINUTE, .cpu_percent = 5};
	struct idle_state s = empty_from_start();

	(void)state;
	run_programs(&s, &rule, 0, 5, 0);
	/* nobody answers any more: the end does not come however long that lasts */
	assert_int_equal(step_at(&s, &rule, 500, 0), IDLE_COUNTING);
	idle_state_sample(&s, &rule, START + 6 * MINUTE, -1);
	assert_int_equal(step_at(&s, &rule, 6, 0), IDLE_BUSY);
	assert_false(s.has_percent);
}

static void processes_that_end_take_no_time_back(void **state)
{
	struct idle_state s = empty_from_start();

	(void)state;
	idle_state_sample(&s, &both, START, 500000);
	idle_state_sample(&s, &both, START + MINUTE, 1000);
	assert_int_equal(s.percent, 0);
	idle_state_sample(&s, &both, START + 2 * MINUTE, 31000);
	assert_int_equal(s.percent, 50);
}

static void two_looks_at_one_time_are_one(void **state)
{
	struct idle_state s = empty_from_start();

	(void)state;
	idle_state_sample(&s, &both, START, 10);
	idle_state_sample(&s, &both, START, 20);
	assert_int_equal(s.cpu_ms, 10);
	assert_false(s.has_percent);
}

static void of_two_reasons_the_earlier_end_counts(void **state)
{
	struct idle_state s = empty_from_start();

	(void)state;
	run_programs(&s, &both, 0, 22, 50);
	run_programs(&s, &both, 23, 24, 0);
	/* quiet from 22 on would be 32; without a client from 0 on is 30 */
	assert_int_equal(s.quiet_since_ms, START + 22 * MINUTE);
	assert_int_equal(idle_judge(&s, &both, START + 24 * MINUTE).cause, IDLE_DISCONNECTED);
}

static void programs_that_stir_take_a_warning_back(void **state)
{
	const struct idle_rule rule = {
		.quiet_ms = 10 * MINUTE, .warning_ms = 5 * MINUTE, .cpu_percent = 5};
	struct idle_state s = empty_from_start();

	(void)state;
	run_programs(&s, &rule, 0, 5, 0);
	assert_int_equal(step_at(&s, &rule, 5, 0), IDLE_TO_WARN);
	s.warned_ms = START + 5 * MINUTE;
	run_programs(&s, &rule, 6, 7, 90);
	assert_int_equal(step_at(&s, &rule, 7, 0), IDLE_BUSY);
}

static void a_record_brings_the_state_back(void **state)
{
	struct idle_state s = empty_from_start(), again;
	json_auto_t *record = NULL;

	(void)state;
	run_programs(&s, &both, 0, 6, 1);
	s.warned_ms = START + 6 * MINUTE;
	record = idle_state_to_json(&s);
	again = idle_state_from_json(record);
	assert_int_equal(idle_judge(&again, &both, START + 7 * MINUTE).end_ms,
			 idle_judge(&s, &both, START + 7 * MINUTE).end_ms);
	assert_int_equal(again.warned_ms, s.warned_ms);
	/* the time without us is like the time between two looks */
	idle_state_look(&again, START + 100 * MINUTE, 0, 0);
	idle_state_sample(&again, &both, START + 100 * MINUTE, again.cpu_ms + MINUTE);
	assert_int_equal(again.percent, 1);
	assert_int_equal(again.quiet_since_ms, START);
	assert_int_equal(step_at(&again, &both, 100, 0), IDLE_TO_END);
}

static void what_was_busy_before_a_restart_is_not_quiet_for_it(void **state)
{
	struct idle_state s = empty_from_start();
	json_auto_t *record = NULL;

	(void)state;
	run_programs(&s, &both, 0, 6, 50);
	record = idle_state_to_json(&s);
	s = idle_state_from_json(record);
	/* an hour later: on average it was hardly anything */
	idle_state_sample(&s, &both, START + 66 * MINUTE, 6 * MINUTE / 2 + MINUTE);
	assert_int_equal(s.quiet_since_ms, 0);
}

static void times_ahead_of_the_clock_are_of_another_boot(void **state)
{
	struct idle_state s = empty_from_start();

	(void)state;
	s.warned_ms = START;
	idle_state_look(&s, 5000, 0, 0);
	assert_int_equal(s.empty_since_ms, 5000);
	assert_int_equal(s.warned_ms, 0);
	assert_int_equal(idle_judge(&s, &disconnected, 5000).step, IDLE_COUNTING);
}

static void a_record_without_a_state_is_an_empty_one(void **state)
{
	json_auto_t *wrong = json_pack("{s:s,s:i}", "EmptySinceMs", "x", "WarnedMs", -5);
	struct idle_state s = idle_state_from_json(NULL);

	(void)state;
	assert_int_equal(s.empty_since_ms, 0);
	s = idle_state_from_json(wrong);
	idle_state_look(&s, START, 0, 0);
	assert_int_equal(s.warned_ms, 0);
	assert_int_equal(s.empty_since_ms, START);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_with_a_client_is_in_use),
		cmocka_unit_test(without_a_warning_it_ends_when_the_time_is_over_and_not_before),
		cmocka_unit_test(the_warning_comes_as_long_before_as_the_rule_says),
		cmocka_unit_test(a_late_warning_puts_the_end_off),
		cmocka_unit_test(a_warning_takes_at_most_half_of_the_time),
		cmocka_unit_test(a_client_begins_the_time_anew),
		cmocka_unit_test(a_visit_between_two_looks_is_told_by_its_end),
		cmocka_unit_test(quiet_programs_count_from_the_look_that_began_the_quiet),
		cmocka_unit_test(programs_at_the_limit_are_not_quiet),
		cmocka_unit_test(only_what_is_not_quiet_is_busy),
		cmocka_unit_test(silence_about_the_programs_is_not_quiet),
		cmocka_unit_test(processes_that_end_take_no_time_back),
		cmocka_unit_test(two_looks_at_one_time_are_one),
		cmocka_unit_test(of_two_reasons_the_earlier_end_counts),
		cmocka_unit_test(programs_that_stir_take_a_warning_back),
		cmocka_unit_test(a_record_brings_the_state_back),
		cmocka_unit_test(what_was_busy_before_a_restart_is_not_quiet_for_it),
		cmocka_unit_test(times_ahead_of_the_clock_are_of_another_boot),
		cmocka_unit_test(a_record_without_a_state_is_an_empty_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
