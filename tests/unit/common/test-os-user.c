/* With the users that every host has; slow and cold directories are in the system tests. */
#include "common/os-user.h"

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static void a_user_is_found_by_name_and_by_number(void **state)
{
	AUTO(os_user_done) struct os_user by_name = {0};
	AUTO(os_user_done) struct os_user by_uid = {0};
	struct error err;

	(void)state;
	assert_int_equal(os_user_find_name(&by_name, "root", 1, &err), 0);
	assert_int_equal(by_name.entry.pw_uid, 0);
	assert_int_equal(os_user_find_uid(&by_uid, 0, 1, &err), 0);
	assert_string_equal(by_uid.entry.pw_name, "root");
	assert_string_equal(by_uid.entry.pw_dir, by_name.entry.pw_dir);
}

static void who_is_not_found_is_asked_for_as_often_as_was_said(void **state)
{
	struct os_user user = {0};
	struct error err;

	(void)state;
	assert_fails(os_user_find_name(&user, "CORP\\no such user", 1, &err), ERR_NOT_FOUND);
	assert_string_equal(err.message, "user not found: CORP\\no such user");
	assert_fails(os_user_find_name(&user, "nobody@no.where", 2, &err), ERR_NOT_FOUND);
	assert_string_equal(err.message, "user not found: nobody@no.where (asked 2 times)");
	assert_fails(os_user_find_uid(&user, 3999999999U, 1, &err), ERR_NOT_FOUND);
	assert_string_equal(err.message, "user not found: uid 3999999999");
	assert_null(user.room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_is_found_by_name_and_by_number),
		cmocka_unit_test(who_is_not_found_is_asked_for_as_often_as_was_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
