#include <stdio.h>

#include "broker-lite/guesses.h"
#include "tests/unit/unit.h"

#define NOW 1000000ULL

static int make(void **state)
{
	static struct guesses guesses;
	struct error err = {0};

	*state = &guesses;
	return guesses_init(&guesses, &err);
}

static int unmake(void **state)
{
	guesses_done(*state);
	return 0;
}

static struct guess guess_at(const struct guesses *guesses, const char *client, const char *address)
{
	return guesses_about(guesses, 0, client, address);
}

static void a_client_can_be_guessed_at_so_often_and_then_slowly(void **state)
{
	struct guesses *guesses = *state;
	struct guess guess;
	char address[32];
	int i;

	for (i = 0; i < 1000; i++) {
		(void)snprintf(address, sizeof(address), "192.0.2.%d", i);
		guess = guess_at(guesses, "c", address);
		if (guesses_wait_s(guesses, &guess, false, NOW) > 0)
			break;
		guesses_count(guesses, &guess, NOW);
	}
	assert_int_equal(i, GUESSES_OF_CLIENT);
	assert_int_equal(guesses_wait_s(guesses, &guess, false, NOW), 3);
	assert_int_equal(guesses_wait_s(guesses, &guess, false, NOW + 2000), 1);
	assert_int_equal(guesses_wait_s(guesses, &guess, false, NOW + 3000), 0);
	guesses_count(guesses, &guess, NOW + 3000);
	assert_int_equal(guesses_wait_s(guesses, &guess, false, NOW + 3000), 3);
	assert_int_equal(guesses_wait_s(guesses, &guess, false, NOW + 3000 + GUESSES_DRAIN_MS), 0);
}

static void an_address_can_guess_so_often(void **state)
{
	struct guesses *guesses = *state;
	struct guess guess;
	char client[32];
	int i;

	for (i = 0; i < 1000; i++) {
		(void)snprintf(client, sizeof(client), "%d", i);
		guess = guess_at(guesses, client, "2001:db8::1");
		if (guesses_wait_s(guesses, &guess, false, NOW) > 0)
			break;
		guesses_count(guesses, &guess, NOW);
	}
	assert_int_equal(i, GUESSES_OF_ADDRESS);
	guess = guess_at(guesses, "other", "2001:db8::2:3");
	assert_int_equal(guesses_wait_s(guesses, &guess, false, NOW), 2);
	guess = guess_at(guesses, "other", "2001:db8:0:1::1");
	assert_int_equal(guesses_wait_s(guesses, &guess, false, NOW), 0);
}

static void a_client_is_not_locked_out_of_where_it_is_known(void **state)
{
	struct guesses *guesses = *state;
	struct guess theirs = guess_at(guesses, "k", "198.51.100.1");
	struct guess ours = guess_at(guesses, "k", "198.51.100.2");
	struct guess other = guesses_about(guesses, 1, "k", "198.51.100.3");

	for (int i = 0; i < 100; i++)
		guesses_count(guesses, &theirs, NOW);
	assert_true(guesses_wait_s(guesses, &ours, false, NOW) > 0);
	assert_int_equal(guesses_wait_s(guesses, &ours, true, NOW), 0);
	assert_int_equal(guesses_wait_s(guesses, &other, false, NOW), 0);
	for (int i = 0; i < GUESSES_OF_CLIENT; i++)
		guesses_count(guesses, &ours, NOW);
	assert_true(guesses_wait_s(guesses, &ours, true, NOW) > 0);
	assert_true(guesses_wait_s(guesses, &theirs, false, NOW) <= 3);
}

static void what_is_full_is_not_pushed_out_by_names_that_come_once(void **state)
{
	struct guesses *guesses = *state;
	struct guess full = guess_at(guesses, "f", "203.0.113.1");
	char text[32];

	for (int i = 0; i < GUESSES_OF_CLIENT; i++)
		guesses_count(guesses, &full, NOW);
	for (int i = 0; i < 10 * GUESSES_SETS * GUESSES_WAYS; i++) {
		struct guess guess;

		(void)snprintf(text, sizeof(text), "x%d", i);
		guess = guess_at(guesses, text, text);
		guesses_count(guesses, &guess, NOW);
	}
	assert_true(guesses_wait_s(guesses, &full, false, NOW) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_can_be_guessed_at_so_often_and_then_slowly),
		cmocka_unit_test(an_address_can_guess_so_often),
		cmocka_unit_test(a_client_is_not_locked_out_of_where_it_is_known),
		cmocka_unit_test(what_is_full_is_not_pushed_out_by_names_that_come_once),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
