#include "agent/trust.h"

#include <unistd.h>

#include "tests/unit/agent/fixture.h"

static int set_up(void **state)
{
	static struct folder f;

	folder_make(&f);
	assert_int_equal(chmod(f.path, 0755), 0);
	(void)put(&f, "a/b/file", "");
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	folder_remove(*state);
	return 0;
}

static void check(const char *path, enum error_code expected, const char *named)
{
	struct error err = {0};

	assert_int_equal(trust_check_path(path, geteuid(), &err), expected ? -1 : 0);
	assert_int_equal(err.code, expected);
	if (named)
		assert_non_null(strstr(err.message, named));
}

static void what_only_root_and_we_can_change_is_trusted(void **state)
{
	const struct folder *f = *state;

	check(in_folder(f, "a/b"), ERR_NONE, NULL); /* below the sticky /tmp */
	check("/", ERR_NONE, NULL);
	check("/usr/bin", ERR_NONE, NULL);
	check("/usr//bin/", ERR_NONE, NULL);
}

static void a_folder_that_others_can_write_is_named(void **state)
{
	const struct folder *f = *state;

	assert_int_equal(chmod(in_folder(f, "a/b"), 0757), 0);
	check(in_folder(f, "a/b"), ERR_DENIED, in_folder(f, "a/b can be written"));
	assert_int_equal(chmod(in_folder(f, "a/b"), 0775), 0);
	check(in_folder(f, "a/b"), ERR_DENIED, "(0775)");
}

static void a_parent_that_others_can_write_is_named(void **state)
{
	const struct folder *f = *state;

	assert_int_equal(chmod(in_folder(f, "a"), 0777), 0);
	check(in_folder(f, "a/b"), ERR_DENIED, in_folder(f, "a can be written"));
}

static void a_folder_of_another_user_is_named(void **state)
{
	const struct folder *f = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(in_folder(f, "a"), 1, 1), 0);
	check(in_folder(f, "a/b"), ERR_DENIED, in_folder(f, "a belongs to uid 1"));
}

static void it_is_where_links_lead_that_counts(void **state)
{
	const struct folder *f = *state;

	assert_int_equal(symlink("a/b", in_folder(f, "link")), 0);
	check(in_folder(f, "link"), ERR_NONE, NULL);
	assert_int_equal(chmod(in_folder(f, "a"), 0777), 0);
	check(in_folder(f, "link"), ERR_DENIED, in_folder(f, "a can be written"));
}

static void what_is_not_there_yet_is_fine_so_far_as_it_goes(void **state)
{
	const struct folder *f = *state;

	check(in_folder(f, "a/b/c/d"), ERR_NONE, NULL);
	check(in_folder(f, "a/b/c/"), ERR_NONE, NULL);
	assert_int_equal(chmod(in_folder(f, "a/b"), 0777), 0);
	check(in_folder(f, "a/b/c/d"), ERR_DENIED, in_folder(f, "a/b can be written"));
}

static void a_link_to_what_others_can_change_is_no_way_around(void **state)
{
	const struct folder *f = *state;

	/* the end does not exist yet, and the folder above where the link leads is open to all */
	assert_int_equal(symlink("a/b", in_folder(f, "link")), 0);
	assert_int_equal(chmod(in_folder(f, "a"), 0777), 0);
	check(in_folder(f, "link/c"), ERR_DENIED, in_folder(f, "a can be written"));
}

static void a_path_that_cannot_be_looked_at_is_an_error(void **state)
{
	const struct folder *f = *state;
	struct error err = {0};

	assert_int_equal(trust_check_path(in_folder(f, "a/b/file/x"), geteuid(), &err), -1);
	assert_int_equal(symlink("loop", in_folder(f, "loop")), 0);
	assert_int_equal(trust_check_path(in_folder(f, "loop"), geteuid(), &err), -1);
	assert_int_equal(symlink("/tmp/nothing-yet", in_folder(f, "dangling")), 0);
	check(in_folder(f, "dangling"), ERR_NOT_FOUND, in_folder(f, "dangling"));
	check(in_folder(f, "dangling/below"), ERR_NOT_FOUND, in_folder(f, "dangling"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_only_root_and_we_can_change_is_trusted),
		TEST(a_folder_that_others_can_write_is_named),
		TEST(a_parent_that_others_can_write_is_named),
		TEST(a_folder_of_another_user_is_named),
		TEST(it_is_where_links_lead_that_counts),
		TEST(what_is_not_there_yet_is_fine_so_far_as_it_goes),
		TEST(a_link_to_what_others_can_change_is_no_way_around),
		TEST(a_path_that_cannot_be_looked_at_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
