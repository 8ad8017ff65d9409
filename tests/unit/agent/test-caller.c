#include "agent/caller.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* A group of the host that is nobody's primary one here, by its place in the database. */
static const struct group *some_group(void)
{
	const struct group *group = getgrnam("daemon");

	assert_non_null(group);
	return group;
}

static void root_is_an_administrator(void **state)
{
	const struct http_request request = {.peer_uid = 0};
	struct error err;
	struct caller *caller = caller_from_peer(&request, "no-such-group", &err);

	(void)state;
	assert_non_null(caller);
	assert_string_equal(caller->name, "root");
	assert_true(caller->is_admin);
	assert_false(caller->is_broker);
	caller_free(caller);
}

static void we_ourselves_are_an_administrator(void **state)
{
	const struct http_request request = {.peer_uid = geteuid()};
	struct error err;
	struct caller *caller = caller_from_peer(&request, "no-such-group", &err);

	(void)state;
	assert_non_null(caller);
	assert_true(caller->is_admin);
	caller_free(caller);
}

static void members_of_the_group_are_administrators_others_are_not(void **state)
{
	const struct group *group = some_group();
	gid_t groups[] = {54321, group->gr_gid};
	struct http_request request = {.peer_uid = 1, .peer_groups = groups, .n_peer_groups = 2};
	struct error err;
	struct caller *caller = caller_from_peer(&request, group->gr_name, &err);

	(void)state;
	assert_string_equal(caller->name, getpwuid(1)->pw_name);
	assert_int_equal(caller->is_admin, true);
	caller_free(caller);
	request.n_peer_groups = 1;
	caller = caller_from_peer(&request, group->gr_name, &err);
	assert_int_equal(caller->is_admin, false);
	caller_free(caller);
	request.n_peer_groups = 0;
	caller = caller_from_peer(&request, "no-such-group", &err);
	assert_int_equal(caller->is_admin, false);
	caller_free(caller);
}

static void a_uid_without_a_name_is_refused(void **state)
{
	const struct http_request request = {.peer_uid = 3999999999U};
	struct error err = {0};

	(void)state;
	assert_null(caller_from_peer(&request, "root", &err));
	assert_int_equal(err.code, ERR_DENIED);
	assert_string_equal(err.message, "there is no user with uid 3999999999");
}

static void only_administrators_open_and_close_servers(void **state)
{
	const struct caller user = {.name = (char *)"alice"};
	const struct caller admin = {.name = (char *)"root", .is_admin = true};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		bool is_for_admins = operations[i].id == OPERATION_open_servers ||
				     operations[i].id == OPERATION_close_servers;

		assert_int_equal(caller_check(&admin, &operations[i], &err), 0);
		assert_int_equal(caller_check(&user, &operations[i], &err), is_for_admins ? -1 : 0);
	}
	assert_int_equal(err.code, ERR_DENIED);
	assert_string_equal(err.message, "user alice may not call CloseServers");
}

static void users_own_what_bears_exactly_their_name(void **state)
{
	const struct caller user = {.name = (char *)"alice"};
	const struct caller admin = {.name = (char *)"root", .is_admin = true};

	(void)state;
	assert_true(caller_owns(&user, "alice"));
	assert_false(caller_owns(&user, "Alice"));
	assert_false(caller_owns(&user, "alice "));
	assert_false(caller_owns(&user, ""));
	assert_true(caller_owns(&admin, "alice"));
}

static void what_is_private_is_for_its_owner_and_root(void **state)
{
	const struct caller user = {.name = (char *)"alice"};
	const struct caller admin = {.name = (char *)"bob", .is_admin = true};
	const struct caller root = {.name = (char *)"root", .is_admin = true, .is_root = true};
	const struct caller broker = {
		.name = (char *)"broker", .is_admin = true, .is_broker = true};

	const struct session of_alice = {.owner = (char *)"alice"},
			     of_bob = {.owner = (char *)"bob"};
	const struct session of_broker = {.owner = (char *)"broker"};

	(void)state;
	assert_true(caller_may_read(&user, &of_alice));
	assert_false(caller_may_read(&user, &of_bob));
	assert_false(caller_may_read(&admin, &of_alice));
	assert_true(caller_may_read(&root, &of_alice));
	assert_false(caller_may_read(&broker, &of_alice));
	assert_false(caller_may_read(&broker, &of_broker)); /* a user of that name */
}

static void nothing_is_freed_in_vain(void **state)
{
	(void)state;
	caller_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_an_administrator),
		cmocka_unit_test(we_ourselves_are_an_administrator),
		cmocka_unit_test(members_of_the_group_are_administrators_others_are_not),
		cmocka_unit_test(a_uid_without_a_name_is_refused),
		cmocka_unit_test(only_administrators_open_and_close_servers),
		cmocka_unit_test(users_own_what_bears_exactly_their_name),
		cmocka_unit_test(what_is_private_is_for_its_owner_and_root),
		cmocka_unit_test(nothing_is_freed_in_vain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
