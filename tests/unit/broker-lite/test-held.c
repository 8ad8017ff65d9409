#include <stdio.h>
#include <string.h>

#include "broker-lite/held.h"
#include "tests/unit/unit.h"

/* Nothing is answered here: of a request only its address is looked at. */
static struct http_request requests[4];

struct fixture {
	struct loop loop;
	struct held held;
	unsigned long long began_ms;
	char told[64]; /* the number of each request, with '!' for those that were due */
	struct http_request *again; /* to be held once more when it comes back */
	size_t n_expected;
};

static void on_back(struct http_request *request, bool is_due, unsigned long long due_ms,
		    void *userdata)
{
	struct fixture *f = userdata;
	struct error err;
	char text[8];

	(void)snprintf(text, sizeof(text), "%d%s", (int)(request - requests), is_due ? "!" : "");
	(void)strcat(f->told, text);
	if (request == f->again) {
		f->again = NULL;
		assert_int_equal(held_add(&f->held, request, due_ms, &err), 0);
	}
	if (--f->n_expected == 0)
		loop_stop(&f->loop);
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct error err = {0};

	fixture = (struct fixture){.n_expected = 100};
	*state = &fixture;
	if (loop_init(&fixture.loop, &err) < 0)
		return -1;
	fixture.began_ms = loop_now_ms(&fixture.loop);
	held_init(&fixture.held, &fixture.loop, 3, on_back, &fixture);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	held_stop(&f->held);
	loop_done(&f->loop);
	return 0;
}

/* @ms: after set_up(), whenever this is called. */
static void hold(struct fixture *f, int i, unsigned ms)
{
	struct error err;

	assert_int_equal(held_add(&f->held, &requests[i], f->began_ms + ms, &err), 0);
}

static void requests_come_back_when_they_are_due(void **state)
{
	struct fixture *f = *state;

	hold(f, 0, 30);
	hold(f, 1, 10);
	hold(f, 2, 20);
	f->n_expected = 3;
	loop_run(&f->loop);
	assert_string_equal(f->told, "1!2!0!");
}

static void their_number_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	for (int i = 0; i < 3; i++)
		hold(f, i, 60000);
	assert_int_equal(held_add(&f->held, &requests[3], 0, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	held_release(&f->held);
	assert_string_equal(f->told, "012");
	hold(f, 3, 60000);
	held_release(&f->held);
	assert_string_equal(f->told, "0123");
}

static void one_that_is_held_again_while_all_are_released_stays(void **state)
{
	struct fixture *f = *state;

	hold(f, 0, 60000);
	hold(f, 1, 70000);
	f->again = &requests[0];
	held_release(&f->held);
	assert_string_equal(f->told, "01");
	held_release(&f->held);
	assert_string_equal(f->told, "010");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(requests_come_back_when_they_are_due, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(their_number_is_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_is_held_again_while_all_are_released_stays,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
