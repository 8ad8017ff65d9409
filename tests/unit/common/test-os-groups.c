#include "common/os-groups.h"

#include "tests/unit/unit.h"

static void the_primary_group_is_one_of_a_users(void **state)
{
	AUTO(os_groups_done) struct os_groups groups = {0};
	struct error err;

	(void)state;
	assert_int_equal(os_groups_load(&groups, "root", &err), 0);
	assert_true(os_groups_have(&groups, "root"));
	assert_false(os_groups_have(&groups, "nogroup"));
	assert_false(os_groups_have(&groups, "no such group"));
	assert_false(os_groups_have(&groups, ""));
}

static void a_user_whom_nobody_knows_is_in_no_group(void **state)
{
	AUTO(os_groups_done) struct os_groups groups = {0};
	struct error err;

	(void)state;
	assert_int_equal(os_groups_load(&groups, "no such user", &err), 0);
	assert_false(os_groups_have(&groups, "root"));
	assert_false(os_groups_have(&groups, "nogroup"));
	assert_false(os_groups_have(&groups, "no such group"));
}

static void a_group_exists_or_not(void **state)
{
	gid_t gid = 1;

	(void)state;
	assert_true(os_group_find("root", &gid));
	assert_int_equal(gid, 0);
	assert_false(os_group_find("no such group", &gid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_primary_group_is_one_of_a_users),
		cmocka_unit_test(a_user_whom_nobody_knows_is_in_no_group),
		cmocka_unit_test(a_group_exists_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
