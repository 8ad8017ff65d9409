#include "agent/refusals.h"

#include "common/source-address.h"
#include "tests/unit/agent/fixture.h"

struct fixture {
	struct folder folder;
	struct loop loop;
	struct refusals *refusals;
	struct log_catch log;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err;

	assert_non_null(f);
	folder_make(&f->folder);
	assert_int_equal(loop_init(&f->loop, &err), 0);
	f->refusals = refusals_new(&f->loop, &err);
	assert_non_null(f->refusals);
	log_catch_begin(&f->log, &f->folder);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	log_catch_end(&f->log);
	refusals_stop(f->refusals);
	loop_done(&f->loop);
	refusals_free(f->refusals);
	folder_remove(&f->folder);
	free(f);
	return 0;
}

/* How many of @n are logged? */
static unsigned knock(struct fixture *f, const char *address, const char *why, unsigned n)
{
	unsigned told = 0;

	for (; n > 0; n--)
		told += refusals_may_tell(f->refusals, address, why);
	return told;
}

static void those_beyond_the_first_are_counted(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(knock(f, "192.0.2.1", "no token", 1000), REFUSALS_TOLD);
	assert_int_equal(knock(f, "192.0.2.1", "expired", 1), 1);
	assert_int_equal(knock(f, "192.0.2.2", "no token", 1), 1);
	refusals_end_minute(f->refusals);
	assert_int_equal(log_catch_count(&f->log, "995 further refusals from 192.0.2.1 in the last "
						  "minute: no token"),
			 1);
	assert_int_equal(log_catch_count(&f->log, "further refusals"), 1);
	assert_int_equal(knock(f, "192.0.2.1", "no token", 1), 1);
}

static void what_is_left_is_told_at_the_end(void **state)
{
	struct fixture *f = *state;

	(void)knock(f, "192.0.2.1", "no token", REFUSALS_TOLD + 1);
	refusals_stop(f->refusals);
	assert_int_equal(log_catch_count(&f->log, "1 further refusals from 192.0.2.1"), 1);
}

static void the_addresses_of_one_network_are_one_source(void **state)
{
	struct fixture *f = *state;
	char address[64];
	unsigned told = 0;

	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(address, sizeof(address), "2001:db8:0:1::%x", i);
		told += knock(f, address, "no token", 1);
	}
	assert_int_equal(told, REFUSALS_TOLD);
	refusals_end_minute(f->refusals);
	assert_int_equal(log_catch_count(&f->log, "95 further refusals from 2001:db8:0:1::/64"), 1);
}

static void many_sources_share_what_is_left(void **state)
{
	struct fixture *f = *state;
	char address[64];
	unsigned told = 0;

	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(address, sizeof(address), "10.0.%u.%u", i / 256, i % 256);
		told += knock(f, address, "no token", 1);
	}
	assert_int_equal(told, REFUSALS_KINDS + REFUSALS_TOLD);
	refusals_end_minute(f->refusals);
	assert_int_equal(log_catch_count(&f->log, "further refusals from other addresses"), 1);
}

static void what_is_no_address_stays_as_it_is(void **state)
{
	char source[SOURCE_ADDRESS_SIZE];

	(void)state;
	source_address("nonsense", source);
	assert_string_equal(source, "nonsense");
	source_address("::ffff:192.0.2.1", source);
	assert_string_equal(source, "::ffff:192.0.2.1");
	source_address("", source);
	assert_string_equal(source, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(those_beyond_the_first_are_counted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_left_is_told_at_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_addresses_of_one_network_are_one_source, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(many_sources_share_what_is_left, set_up, tear_down),
		cmocka_unit_test(what_is_no_address_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
