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

	assert_int_equal(server_list_set_report(&f->servers, server, report, &err), 0);
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

#define OURS "7c9e6679-7425-40de-944b-e07fc1f90ae7"

static const struct placement_wish plain = {.owner = "mira"};

static struct server *choose(struct fixture *f, const struct placement_wish *wish,
			     const json_t *avoid)
{
	struct server *server = NULL;
	struct error err;

	assert_int_equal(placement_choose(&f->servers, NULL, wish, avoid, 0, &server, &err), 0);
	return server;
}

static enum placement_obstacle obstacle(struct fixture *f, const struct server *server,
					const struct placement_wish *wish,
					unsigned long long now_ms)
{
	enum placement_obstacle result;
	struct error err;

	assert_int_equal(placement_check(&f->servers, server, wish, now_ms, &result, &err), 0);
	return result;
}

static void the_emptiest_then_the_idlest_then_the_first_wins(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 2.0, "-1"), *b = add_server(f, "b", 1.0, "-1");

	(void)add_server(f, "c", 1.0, "-1");
	assert_ptr_equal(choose(f, &plain, NULL), b);
	(void)add_session(f, b, "1", "x");
	(void)add_session(f, server_list_find(&f->servers, "c"), "2", "x");
	assert_ptr_equal(choose(f, &plain, NULL), a);
}

static void a_console_session_goes_where_its_owner_is_logged_in(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "-1"), *b = add_server(f, "b", 2.0, "-1");
	const struct placement_wish console = {.owner = "mira", .is_console = true};
	json_auto_t *avoid = json_pack("[s]", "b");

	(void)json_object_set_new(
		json_object_get(a->report, "Host"), "LoggedInUsers",
		json_pack("[{s:s},{s:i},{}]", "Username", "miran", "Username", 1));
	assert_ptr_equal(choose(f, &console, NULL), a);
	(void)json_object_set_new(
		json_object_get(b->report, "Host"), "LoggedInUsers",
		json_pack("[{s:s},{s:s}]", "Username", "jonas", "Username", "mira"));
	assert_ptr_equal(choose(f, &console, NULL), b);
	/* but not where it has just failed, and virtual ones go anywhere */
	assert_ptr_equal(choose(f, &console, avoid), a);
	assert_ptr_equal(choose(f, &plain, NULL), a);
}

static void a_place_that_was_given_away_is_counted(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "1");
	struct session *session;

	assert_int_equal(obstacle(f, a, &plain, 0), OBSTACLE_NONE);
	session = add_session(f, a, OURS, "x");
	assert_int_equal(obstacle(f, a, &plain, 0), OBSTACLE_UNAVAILABLE);
	assert_string_equal(server_unavailability(a), "SERVER_FULL");
	assert_int_equal(session_event(session, GONE), 0);
	assert_int_equal(obstacle(f, a, &plain, 0), OBSTACLE_NONE);
}

static void sessions_made_by_hand_use_up_no_limit(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "1");

	a->max_per_user = 1;
	(void)add_session(f, a, "by hand", plain.owner);
	assert_int_equal(a->n_virtual, 1);
	assert_int_equal(obstacle(f, a, &plain, 0), OBSTACLE_NONE);
	a->max_virtual = 2;
	(void)add_session(f, a, OURS, plain.owner);
	assert_int_equal(obstacle(f, a, &plain, 0), OBSTACLE_USER_LIMIT);
}

static void consoles_and_virtual_sessions_do_not_share(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "-1");
	const struct placement_wish console = {.owner = "x", .is_console = true};

	assert_int_equal(obstacle(f, a, &console, 0), OBSTACLE_NONE);
	(void)add_session(f, a, "1", "x");
	assert_int_equal(obstacle(f, a, &console, 0), OBSTACLE_CONSOLE);
}

static void closed_lost_and_refusing_servers_take_nothing(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "-1");

	a->is_closed = true;
	assert_int_equal(obstacle(f, a, &plain, 0), OBSTACLE_UNAVAILABLE);
	a->is_closed = false;
	a->has_refused = true;
	assert_int_equal(obstacle(f, a, &plain, 0), OBSTACLE_REFUSED);
	a->has_refused = false;
	a->agent = NULL;
	assert_int_equal(obstacle(f, a, &plain, 0), OBSTACLE_UNAVAILABLE);
}

static void a_server_to_avoid_is_taken_when_there_is_no_other(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "-1"), *b = add_server(f, "b", 9, "-1");
	json_auto_t *avoid = json_pack("[s]", "a");
	const struct placement_wish wish = {.owner = "x"};

	assert_ptr_equal(choose(f, &wish, avoid), b);
	b->is_closed = true;
	assert_ptr_equal(choose(f, &wish, avoid), a);
}

static void a_server_that_is_set_back_takes_one_probe_when_the_time_is_over(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "-1");
	struct session *probe;

	for (unsigned long long at = 1000; at < 4000; at += 1000) {
		assert_int_equal(obstacle(f, a, &plain, at), OBSTACLE_NONE);
		assert_int_equal(setback_fail(&a->setback, at, 60000), at == 3000);
	}
	assert_int_equal(obstacle(f, a, &plain, 3001), OBSTACLE_SET_BACK);
	assert_int_equal(obstacle(f, a, &plain, 62999), OBSTACLE_SET_BACK);
	assert_int_equal(obstacle(f, a, &plain, 63000), OBSTACLE_NONE);
	probe = add_session(f, a, "1", "x");
	probe->request = json_object();
	assert_int_equal(obstacle(f, a, &plain, 63001), OBSTACLE_PROBING);
	assert_int_equal(session_event(probe, REPORTED_READY), 0);
	assert_int_equal(obstacle(f, a, &plain, 63001), OBSTACLE_NONE);
}

static void requirements_choose_among_all_and_among_those_that_changed(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "4"), *b = add_server(f, "b", 0, "8");
	struct list changed;
	struct placement_wish *wish = NULL;
	struct server *chosen;
	struct error err;
	json_auto_t *request = json_pack("{s:s,s:s,s:s,s:s}", "Name", "n", "Owner", "mira", "Type",
					 "virtual", "Requirements",
					 "tag:dcv:max-virtual-sessions > 4");

	assert_int_equal(placement_wish_new(request, &wish, &err), 0);
	assert_ptr_equal(choose(f, wish, NULL), b);
	assert_int_equal(obstacle(f, a, wish, 0), OBSTACLE_REQUIREMENTS);
	list_init(&changed);
	list_append(&changed, &a->changed);
	assert_int_equal(placement_choose(&f->servers, &changed, wish, NULL, 0, &chosen, &err), 0);
	assert_null(chosen);
	list_append(&changed, &b->changed);
	assert_int_equal(placement_choose(&f->servers, &changed, wish, NULL, 0, &chosen, &err), 0);
	assert_ptr_equal(chosen, b);
	list_remove(&a->changed);
	list_remove(&b->changed);
	wish = placement_wish_free(wish);
}

static void windows_takes_consoles_only_and_what_needs_it(void **state)
{
	struct fixture *f = *state;
	struct server *a = add_server(f, "a", 0, "-1");
	const struct placement_wish autorun = {
		.owner = "x", .is_console = true, .needs_windows = true};

	assert_int_equal(obstacle(f, a, &autorun, 0), OBSTACLE_SYSTEM);
	a->family = OS_WINDOWS;
	assert_int_equal(obstacle(f, a, &autorun, 0), OBSTACLE_NONE);
	assert_int_equal(obstacle(f, a, &plain, 0), OBSTACLE_SYSTEM);
}

static void for_every_server_people_are_told_why(void **state)
{
	struct fixture *f = *state;
	struct buf text = {0};
	json_t *result = NULL;
	struct error err;

	(void)add_server(f, "a", 2, "-1");
	(void)add_server(f, "b", 1, "-1");
	add_server(f, "c", 0, "-1")->is_closed = true;
	assert_int_equal(placement_explain(&f->servers, &plain, 0, &text, &result, &err), 0);
	assert_string_equal(text.data,
			    "yes    a (sessions=0, load=2.00, failures=0)\n"
			    "chosen b (sessions=0, load=1.00, failures=0)\n"
			    "no     c (sessions=0, load=0.00, failures=0): SERVER_CLOSED\n");
	assert_int_equal(json_array_size(result), 3);
	assert_string_equal(json_get_text(json_array_get(result, 2), "Reason"), "SERVER_CLOSED");
	json_decref(result);
	buf_done(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_emptiest_then_the_idlest_then_the_first_wins),
		TEST(a_console_session_goes_where_its_owner_is_logged_in),
		TEST(a_place_that_was_given_away_is_counted),
		TEST(sessions_made_by_hand_use_up_no_limit),
		TEST(consoles_and_virtual_sessions_do_not_share),
		TEST(closed_lost_and_refusing_servers_take_nothing),
		TEST(a_server_to_avoid_is_taken_when_there_is_no_other),
		TEST(a_server_that_is_set_back_takes_one_probe_when_the_time_is_over),
		TEST(requirements_choose_among_all_and_among_those_that_changed),
		TEST(windows_takes_consoles_only_and_what_needs_it),
		TEST(for_every_server_people_are_told_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
