#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker-lite/placement.h"
#include "broker-lite/session-list.h"
#include "common/cleanup.h"
#include "common/json.h"

struct fixture {
	struct server_list servers;
	struct session_list sessions;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	server_list_init(&f->servers, NULL);
	session_list_init(&f->sessions, NULL);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	session_list_done(&f->sessions);
	server_list_done(&f->servers);
	free(f);
	return 0;
}

static struct server *add_server(struct fixture *f, const char *id, double load, const char *most)
{
	struct error err;
	struct server *server = server_list_obtain(&f->servers, id, &err);
	json_auto_t *report = json_pack("{s:s,s:s,s:{s:{s:f}},s:[{s:s,s:s}]}", "Id", id,
					"Availability", "AVAILABLE", "Host", "CpuLoadAverage",
					"OneMinute", load, "Tags", "Key",
					"dcv:max-virtual-sessions", "Value", most);

	assert_int_equal(server_set_report(server, report, &err), 0);
	server->agent = (struct agent *)(void *)f; /* only that there is one is looked at */
	return server;
}

static struct session *add_session(struct fixture *f, struct server *server, const char *id,
				   const char *owner)
{
	struct error err;
	struct session *session = session_new(
		id, json_pack("{s:s,s:s,s:s}", "Id", id, "Owner", owner, "Type", "VIRTUAL"), &err);

	assert_int_equal(session_list_add(&f->sessions, session, server, &err), 0);
	return session;
}

static const struct placement_wish plain = {.owner = "mira"};

static void the_emptiest_then_the_idlest_then_the_first_wins(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 2.0, "-1"), *b = add_server(f, "b", 1.0, "-1");

	(void)add_server(f, "c", 1.0, "-1");
	assert_ptr_equal(placement_choose(&f->servers, &plain), b);
	(void)add_session(f, b, "1", "x");
	(void)add_session(f, server_list_find(&f->servers, "c"), "2", "x");
	assert_ptr_equal(placement_choose(&f->servers, &plain), a);
}

static void a_place_that_was_given_away_is_counted(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "1");
	struct session *session;

	assert_true(placement_fits(a, &plain));
	session = add_session(f, a, "1", "x");
	assert_false(placement_fits(a, &plain));
	assert_string_equal(server_unavailability(a), "SERVER_FULL");
	assert_int_equal(session_event(session, GONE), 0);
	assert_true(placement_fits(a, &plain));
}

static void consoles_and_virtual_sessions_do_not_share(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "-1");
	const struct placement_wish console = {.owner = "x", .is_console = true};

	assert_true(placement_fits(a, &console));
	(void)add_session(f, a, "1", "x");
	assert_false(placement_fits(a, &console));
}

static void closed_lost_and_refusing_servers_take_nothing(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "-1");

	a->is_closed = true;
	assert_false(placement_fits(a, &plain));
	a->is_closed = false;
	a->has_refused = true;
	assert_false(placement_fits(a, &plain));
	a->has_refused = false;
	a->agent = NULL;
	assert_false(placement_fits(a, &plain));
}

static void a_server_to_avoid_is_taken_when_there_is_no_other(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "-1"), *b = add_server(f, "b", 9, "-1");
	json_auto_t *avoid = json_pack("[s]", "a");
	const struct placement_wish wish = {.owner = "x", .avoid = avoid};

	assert_ptr_equal(placement_choose(&f->servers, &wish), b);
	b->is_closed = true;
	assert_ptr_equal(placement_choose(&f->servers, &wish), a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_emptiest_then_the_idlest_then_the_first_wins),
		TEST(a_place_that_was_given_away_is_counted),
		TEST(consoles_and_virtual_sessions_do_not_share),
		TEST(closed_lost_and_refusing_servers_take_nothing),
		TEST(a_server_to_avoid_is_taken_when_there_is_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
