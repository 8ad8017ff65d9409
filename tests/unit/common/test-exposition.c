#include "common/exposition.h"
#include "tests/unit/unit.h"

static int set_up(void **state)
{
	static struct exposition e;

	e = (struct exposition){.err = {.code = ERR_NONE}};
	*state = &e;
	return 0;
}

static int tear_down(void **state)
{
	struct exposition *e = *state;

	buf_done(&e->text);
	return 0;
}

static const struct histogram_bounds bounds = {2, {0.5, 1}};

static void a_family_has_help_type_and_its_numbers(void **state)
{
	struct exposition *e = *state;

	exposition_single(e, "a_total", "counter", "What it is.", 3);
	exposition_family(e, "b", "gauge", "Another.");
	exposition_add(e, LABELS({"x", "1"}, {"y", "2"}), 0.25);
	exposition_add(e, LABELS({"x", "a\"b\\c\nd"}), 1e15);
	assert_int_equal(e->err.code, ERR_NONE);
	assert_string_equal(e->text.data, "# HELP a_total What it is.\n"
					  "# TYPE a_total counter\n"
					  "a_total 3\n"
					  "# HELP b Another.\n"
					  "# TYPE b gauge\n"
					  "b{x=\"1\",y=\"2\"} 0.25\n"
					  "b{x=\"a\\\"b\\\\c\\nd\"} 1e+15\n");
}

static void a_histogram_adds_up_its_buckets(void **state)
{
	struct histogram histogram = {.bounds = &bounds};
	struct exposition *e = *state;

	histogram_add(&histogram, 0.5); /* a bound belongs to its bucket */
	histogram_add(&histogram, 0.75);
	histogram_add(&histogram, 0.75);
	histogram_add(&histogram, 8);
	exposition_family(e, "t", "histogram", "Times.");
	exposition_add_histogram(e, LABELS({"x", "1"}), &histogram);
	exposition_add_histogram(e, NO_LABELS, &histogram);
	assert_string_equal(e->text.data, "# HELP t Times.\n"
					  "# TYPE t histogram\n"
					  "t_bucket{x=\"1\",le=\"0.5\"} 1\n"
					  "t_bucket{x=\"1\",le=\"1\"} 3\n"
					  "t_bucket{x=\"1\",le=\"+Inf\"} 4\n"
					  "t_sum{x=\"1\"} 10\n"
					  "t_count{x=\"1\"} 4\n"
					  "t_bucket{le=\"0.5\"} 1\n"
					  "t_bucket{le=\"1\"} 3\n"
					  "t_bucket{le=\"+Inf\"} 4\n"
					  "t_sum 10\n"
					  "t_count 4\n");
}

#define WITH_EXPOSITION(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_EXPOSITION(a_family_has_help_type_and_its_numbers),
		WITH_EXPOSITION(a_histogram_adds_up_its_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
