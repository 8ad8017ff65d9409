/* Keepers that are lost and found again, and those that the search finds. */
#include "tests/unit/agent/x11-fixture.h"

static void a_lost_connection_is_made_again(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, true);
	close_p(&f->keepers[0]);
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("ready"));
	SAY(f, 1, "EVENT=ending\0REASON=init file ended");
	run_until(&f->loop, f->n_ending == 1);
	assert_int_equal(f->n_ended, 0);
	assert_string_equal(f->reason, "init file ended");
}

static void what_a_killed_keeper_left_is_cleaned_before_the_end_is_told(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, false);
	close_p(&f->keepers[0]);
	assert_int_equal(await_connection(f, f->listener), 1);
	assert_string_equal(receive(f, 1), "OPERATION=clean|NUMBER=5|");
	run_now(&f->loop);
	assert_int_equal(f->n_ended, 0);
	SAY(f, 1, "EVENT=cleaned\0NUMBER=5");
	run_until(&f->loop, f->n_ended == 1);
	assert_string_equal(f->reason, "the session's keeper was killed");
}

static void what_cannot_be_cleaned_has_not_ended(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, false);
	close_p(&f->keepers[0]);
	assert_int_equal(await_connection(f, f->listener), 1);
	(void)receive(f, 1);
	SAY(f, 1, "EVENT=failed\0REASON=session s1: 1 processes do not end");
	close_p(&f->keepers[1]);
	assert_int_equal(await_connection(f, f->listener), 2); /* asked again */
	assert_int_equal(f->n_ended, 0);
	assert_string_equal(receive(f, 2), "OPERATION=clean|NUMBER=5|");
	SAY(f, 2, "EVENT=cleaned\0NUMBER=5");
	run_until(&f->loop, f->n_ended == 1);
}

static void a_keeper_that_is_gone_with_its_folder_has_ended(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	close_p(&f->keepers[0]);
	run_until(&f->loop, f->n_ended == 1);
}

static void a_keeper_that_does_not_listen_yet_is_waited_for(void **state)
{
	struct fixture *f = *state;
	char path[256];

	/* killed between the order and the answer, the agent finds a folder without socket */
	(void)snprintf(path, sizeof(path), "%s/5", f->run_dir);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	assert_int_equal(await_connection(f, f->listener), 0);
	assert_string_equal(receive(f, 0), "OPERATION=clean|NUMBER=5|");
	make_number(f, true);
	SAY(f, 0, "EVENT=failed\0REASON=the keeper of session 5 lives");
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("starting"));
	run_until(&f->loop, f->n_found == 1);
	run_until(&f->loop, f->session->part);
	assert_int_equal(f->n_ended, 0);
}

static void an_order_that_had_its_effect_before_finds_the_session(void **state)
{
	struct fixture *f = *state;

	create(f);
	(void)await_connection(f, f->listener);
	make_number(f, true);
	SAY(f, 0, "EVENT=failed\0REASON=session s1 exists already\0NUMBER=5");
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("ready"));
	run_until(&f->loop, f->n_ready == 1);
	assert_int_equal(f->n_ended, 0);
	assert_non_null(f->session->part);
}

static void a_number_that_has_become_another_sessions_is_left_alone(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, true);
	close_p(&f->keepers[0]);
	(void)await_connection(f, f->control);
	SAY(f, 1, "EVENT=state\0NUMBER=5\0SESSION_ID=s2\0OWNER=alice\0STATE=ready");
	run_until(&f->loop, f->n_ended == 1);
	assert_string_equal(f->reason, "the session's keeper is gone");
}

static void sessions_that_were_there_are_found(void **state)
{
	struct fixture *f = *state;

	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	assert_int_equal(f->n_searched, 0);
	(void)await_connection(f, f->control);
	SAY(f, 0, STATE("ready"));
	run_until(&f->loop, f->n_searched == 1);
	assert_int_equal(f->n_found, 1);
	assert_int_equal(f->n_ready, 1);
	assert_string_equal(f->found_type, "VIRTUAL");
	assert_non_null(f->session->part);
}

static void a_console_session_that_was_there_is_found_as_one(void **state)
{
	struct fixture *f = *state;

	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	(void)await_connection(f, f->control);
	say(f, 0, STATE("ready\0TYPE=console"), sizeof(STATE("ready\0TYPE=console")));
	run_until(&f->loop, f->n_searched == 1);
	assert_string_equal(f->found_type, "CONSOLE");
}

static void a_session_that_was_found_ending_is_ending(void **state)
{
	struct fixture *f = *state;

	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	(void)await_connection(f, f->control);
	say(f, 0, STATE("ending\0REASON=init file ended"),
	    sizeof(STATE("ending\0REASON=init file ended")));
	run_until(&f->loop, f->n_ending == 1);
	assert_string_equal(f->reason, "init file ended");
}

static void sessions_that_nobody_wants_are_left_alone(void **state)
{
	struct fixture *f = *state;
	char byte;

	f->knows_sessions = false;
	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	(void)await_connection(f, f->control);
	SAY(f, 0, STATE("ready"));
	run_until(&f->loop, f->n_searched == 1);
	run_until(&f->loop, recv(f->keepers[0], &byte, 1, 0) == 0);
}

static void the_search_ends_without_anything_to_find(void **state)
{
	struct fixture *f = *state;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/claim.lock", f->run_dir);
	assert_int_equal(mkdir(path, 0755), 0); /* no number: none of a keeper's */
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	assert_int_equal(f->n_searched, 1);
}

static void a_keeper_that_says_nothing_does_not_hold_up_the_search(void **state)
{
	struct fixture *f = *state;

	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	(void)await_connection(f, f->control);
	run_until(&f->loop, f->n_searched == 1);
	/* it is found when it speaks */
	SAY(f, 0, STATE("ready"));
	run_until(&f->loop, f->n_ready == 1);
	assert_int_equal(f->n_searched, 1);
}

static void a_listener_that_says_nothing_does_not_hold_up_the_search(void **state)
{
	struct fixture *f = *state;

	make_number(f, false);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	assert_int_equal(await_connection(f, f->listener), 0);
	run_until(&f->loop, f->n_searched == 1);
}

static void one_session_has_one_part(void **state)
{
	struct fixture *f = *state;
	struct engine_session *first;

	create(f);
	first = f->session->part;
	(void)await_connection(f, f->listener);
	f->engine->ops->end(f->engine, f->session, "deleted on request");
	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("starting"));
	/* what the first was told is told to the keeper that was found */
	assert_string_equal(receive(f, 1), "OPERATION=stop|REASON=deleted on request|");
	assert_ptr_not_equal(f->session->part, first);
	SAY(f, 1, "EVENT=ended\0REASON=x");
	run_until(&f->loop, f->n_ended == 1);
	run_now(&f->loop);
	assert_int_equal(f->n_ended, 1);
}

static void nonsense_from_a_keeper_is_no_end(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, true);
	SAY(f, 0, "EVENT=dance");
	SAY(f, 0, "REASON=none");
	SAY(f, 0, "EVENT=state");
	SAY(f, 0, "EVENT=capture\0TAG=1");
	say(f, 0, "nonsense", 8);
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("ready"));
	run_now(&f->loop);
	assert_int_equal(f->n_ended, 0);
	assert_non_null(f->session->part);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lost_connection_is_made_again),
		TEST(what_a_killed_keeper_left_is_cleaned_before_the_end_is_told),
		TEST(what_cannot_be_cleaned_has_not_ended),
		TEST(a_keeper_that_is_gone_with_its_folder_has_ended),
		TEST(a_keeper_that_does_not_listen_yet_is_waited_for),
		TEST(an_order_that_had_its_effect_before_finds_the_session),
		TEST(a_number_that_has_become_another_sessions_is_left_alone),
		TEST(sessions_that_were_there_are_found),
		TEST(a_console_session_that_was_there_is_found_as_one),
		TEST(a_session_that_was_found_ending_is_ending),
		TEST(sessions_that_nobody_wants_are_left_alone),
		TEST(the_search_ends_without_anything_to_find),
		TEST(a_keeper_that_says_nothing_does_not_hold_up_the_search),
		TEST(a_listener_that_says_nothing_does_not_hold_up_the_search),
		TEST(one_session_has_one_part),
		TEST(nonsense_from_a_keeper_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
