#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker-lite/session.h"

static void a_session_goes_the_ways_of_its_table_only(void **state)
{
	struct error err;
	struct session *session = session_new("s", json_pack("{s:s}", "Owner", "mira"), &err);

	(void)state;
	assert_int_equal(session->state, CREATING);
	assert_int_equal(session_event(session, REPORTED_READY), 0);
	assert_int_equal(session_event(session, PLACED_AGAIN), -1);
	assert_int_equal(session_event(session, LOST), 0);
	assert_int_equal(session->state, UNKNOWN);
	session->is_delete_ordered = true;
	assert_int_equal(session_event(session, REPORTED_READY), 0);
	assert_int_equal(session->state, DELETING);
	assert_int_equal(session_event(session, GONE), 0);
	assert_int_equal(session_event(session, LOST), -1);
	assert_int_equal(session->state, DELETED);
	session_free(session);
}

static void what_is_overdue_stays_unknown_until_it_gets_somewhere(void **state)
{
	struct error err;
	struct session *session = session_new("s", json_pack("{s:s}", "Owner", "mira"), &err);

	(void)state;
	session->state = DELETING;
	session->is_delete_ordered = session->is_overdue = true;
	assert_int_equal(session_event(session, OVERDUE), 0);
	assert_int_equal(session->state, UNKNOWN);
	assert_int_equal(session_event(session, REPORTED_DELETING), 0);
	assert_int_equal(session->state, UNKNOWN);
	assert_int_equal(session_event(session, GONE), 0);
	assert_int_equal(session->state, DELETED);
	assert_false(session->is_overdue);
	assert_int_equal(session_event(session, OVERDUE), -1);
	session_free(session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_goes_the_ways_of_its_table_only),
		cmocka_unit_test(what_is_overdue_stays_unknown_until_it_gets_somewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
