#include <string.h>

#include "broker-lite/metrics.h"
#include "tests/unit/unit.h"

struct fixture {
	struct metrics metrics;
	struct exposition e;
};

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){.e = {.err = {.code = ERR_NONE}}};
	metrics_init(&f.metrics);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	buf_done(&f->e.text);
	return 0;
}

static void requests_are_told_by_operation_and_status_and_as_cloud_watch_had_them(void **state)
{
	static const char *const expected[] = {
		"\ndcvsm_requests_total{operation=\"CreateSessions\",status=\"200\"} 2\n",
		"\ndcvsm_requests_total{operation=\"CreateSessions\",status=\"503\"} 1\n",
		"\ndcvsm_requests_total{operation=\"Health\",status=\"other\"} 1\n",
		"\ndcvsm_request_duration_seconds_count{operation=\"CreateSessions\"} 3\n",
		"\ndcvsm_request_duration_seconds_sum{operation=\"CreateSessions\"} 0.75\n",
		"\ndcvsm_create_sessions_request_time_seconds_sum{fleet=\"f\"} 0.75\n",
		"\ndcvsm_create_sessions_request_time_seconds_count{fleet=\"f\"} 3\n",
		"\ndcvsm_placement_refusals_total{reason=\"queue_full\"} 1\n",
		"\ndcvsm_placement_refusals_total{reason=\"no_server\"} 0\n",
		"\ndcvsm_create_phase_duration_seconds_sum{phase=\"ready\"} 20\n",
	};
	struct fixture *f = *state;

	metrics_count_request(&f->metrics, (enum metrics_endpoint)OPERATION_create_sessions, 200,
			      0.25);
	metrics_count_request(&f->metrics, (enum metrics_endpoint)OPERATION_create_sessions, 200,
			      0.25);
	metrics_count_request(&f->metrics, (enum metrics_endpoint)OPERATION_create_sessions, 503,
			      0.25);
	metrics_count_request(&f->metrics, ENDPOINT_HEALTH, 418, 0);
	metrics_count_refusal(&f->metrics, REFUSAL_QUEUE_FULL);
	metrics_count_phase(&f->metrics, PHASE_READY, 20);
	metrics_append_counted(&f->metrics, "f", &f->e);
	assert_int_equal(f->e.err.code, ERR_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		if (!strstr(f->e.text.data, expected[i]))
			fail_msg("%s is not in\n%s", expected[i], f->e.text.data);
	}
	assert_null(strstr(f->e.text.data, "operation=\"CloseServers\",status"));
}

#define WITH_METRICS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_METRICS(requests_are_told_by_operation_and_status_and_as_cloud_watch_had_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
