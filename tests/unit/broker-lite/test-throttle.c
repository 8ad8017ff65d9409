#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "broker-lite/throttle.h"
#include "common/log.h"
#include "tests/unit/unit.h"

#define LIMIT 3

static int set_up(void **state)
{
	struct error err;

	log_set_level(LOG_LEVEL_ERROR);
	*state = throttle_new(LIMIT, &err);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	throttle_free(*state);
	return 0;
}

/* How many of @n requests are let through. */
static unsigned admitted(struct throttle *throttle, const char *peer, unsigned n,
			 unsigned long long now_ms)
{
	unsigned n_admitted = 0;

	for (unsigned i = 0; i < n; i++)
		n_admitted += throttle_admit(throttle, peer, NULL, now_ms);
	return n_admitted;
}

static void a_second_lets_the_limit_through_and_begins_with_the_first_request(void **state)
{
	struct throttle *throttle = *state;

	assert_int_equal(admitted(throttle, "192.0.2.1", 2, 1700), 2);
	assert_int_equal(admitted(throttle, "192.0.2.1", 5, 2699), 1);
	assert_int_equal(throttle->n_refused, 4);
	assert_int_equal(admitted(throttle, "192.0.2.1", 5, 2700), LIMIT);
	assert_int_equal(admitted(throttle, "192.0.2.1", 5, 9000), LIMIT);
}

static void what_is_refused_does_not_make_the_wait_longer(void **state)
{
	struct throttle *throttle = *state;

	for (unsigned long long ms = 1000; ms < 2000; ms += 10)
		(void)throttle_admit(throttle, "192.0.2.1", NULL, ms);
	assert_true(throttle_admit(throttle, "192.0.2.1", NULL, 2000));
}

static void every_address_has_its_own_count(void **state)
{
	struct throttle *throttle = *state;

	assert_int_equal(admitted(throttle, "192.0.2.1", 9, 1000), LIMIT);
	assert_int_equal(admitted(throttle, "192.0.2.2", 9, 1000), LIMIT);
	assert_int_equal(admitted(throttle, "::ffff:192.0.2.1", 9, 1000), 0);
	assert_int_equal(admitted(throttle, "2001:db8::1", 9, 1000), LIMIT);
}

static void ipv6_addresses_of_one_64_are_one(void **state)
{
	struct throttle *throttle = *state;

	assert_int_equal(admitted(throttle, "2001:db8:0:1::1", 9, 1000), LIMIT);
	assert_int_equal(admitted(throttle, "2001:db8:0:1:ffff:ffff:ffff:ffff", 9, 1000), 0);
	assert_int_equal(admitted(throttle, "2001:db8:0:2::1", 9, 1000), LIMIT);
}

static void what_is_no_address_shares_one_count(void **state)
{
	struct throttle *throttle = *state;

	assert_int_equal(admitted(throttle, "", 2, 1000), 2);
	assert_int_equal(admitted(throttle, "nonsense", 9, 1000), LIMIT - 2);
}

static void a_flood_of_addresses_lets_nobody_off_who_is_throttled(void **state)
{
	struct throttle *throttle = *state;
	char peer[32];

	assert_int_equal(admitted(throttle, "192.0.2.1", 9, 1000), LIMIT);
	for (unsigned i = 0; i < 100000; i++) {
		(void)snprintf(peer, sizeof(peer), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255,
			       i & 255);
		assert_true(throttle_admit(throttle, peer, NULL, 1000));
	}
	assert_int_equal(admitted(throttle, "192.0.2.1", 9, 1999), 0);
}

static void the_last_forwarded_address_counts_and_the_peer_where_it_is_none(void **state)
{
	struct throttle *throttle = *state;

	for (unsigned i = 0; i < LIMIT; i++)
		assert_true(throttle_admit(throttle, "192.0.2.9", "6.6.6.6, 10.0.0.1", 1000));
	assert_false(throttle_admit(throttle, "192.0.2.8", "7.7.7.7,10.0.0.1", 1000));
	assert_true(throttle_admit(throttle, "192.0.2.9", "10.0.0.1, 10.0.0.2", 1000));
	assert_int_equal(admitted(throttle, "192.0.2.9", 2, 1000), 2);
	assert_true(throttle_admit(throttle, "192.0.2.9", "10.0.0.1, unknown", 1000));
	assert_false(throttle_admit(throttle, "192.0.2.9", "", 1000));
}

static void forwarded_addresses_are_read_in_every_form(void **state)
{
	static const struct {
		const char *text, *address; /* NULL: none */
	} cases[] = {
		{"192.0.2.1", "::ffff:192.0.2.1"},
		{" 192.0.2.1 ", "::ffff:192.0.2.1"},
		{"192.0.2.1:4711", "::ffff:192.0.2.1"},
		{"x, 192.0.2.1", "::ffff:192.0.2.1"},
		{"2001:db8::1", "2001:db8::"},
		{"[2001:db8::1]", "2001:db8::"},
		{"[2001:db8::1]:443", "2001:db8::"},
		{"a,\t2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"", NULL},
		{",", NULL},
		{"192.0.2.1,", NULL},
		{"192.0.2.1 x", NULL},
		{"192.0.2.256", NULL},
		{"[2001:db8::1", NULL},
		{"unknown", NULL},
		{"2001:db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned char address[16], expected[16];

		assert_int_equal(throttle_read_forwarded(cases[i].text, address),
				 cases[i].address != NULL);
		if (!cases[i].address)
			continue;
		assert_int_equal(inet_pton(AF_INET6, cases[i].address, expected), 1);
		assert_memory_equal(address, expected, sizeof(address));
	}
}

#define WITH_THROTTLE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_THROTTLE(a_second_lets_the_limit_through_and_begins_with_the_first_request),
		WITH_THROTTLE(what_is_refused_does_not_make_the_wait_longer),
		WITH_THROTTLE(every_address_has_its_own_count),
		WITH_THROTTLE(ipv6_addresses_of_one_64_are_one),
		WITH_THROTTLE(what_is_no_address_shares_one_count),
		WITH_THROTTLE(a_flood_of_addresses_lets_nobody_off_who_is_throttled),
		WITH_THROTTLE(the_last_forwarded_address_counts_and_the_peer_where_it_is_none),
		WITH_THROTTLE(forwarded_addresses_are_read_in_every_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
