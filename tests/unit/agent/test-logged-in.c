#include "agent/logged-in.h"

#include <utmp.h>

#include "common/json.h"
#include "tests/unit/agent/fixture.h"

static int set_up(void **state)
{
	static struct folder f;

	folder_make(&f);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	folder_remove(*state);
	return 0;
}

struct entry {
	short type;
	int pid;
	const char *user;
};

static void put_utmp(const struct folder *f, const struct entry *entries, size_t n)
{
	struct error err = {0};
	struct utmp records[16] = {0};

	for (size_t i = 0; i < n; i++) {
		records[i].ut_type = entries[i].type;
		records[i].ut_pid = entries[i].pid;
		/* a name that fills the field has no end in it */
		(void)memcpy(records[i].ut_user, entries[i].user,
			     strnlen(entries[i].user, sizeof(records[i].ut_user)));
	}
	(void)put(f, "run/.keep", "");
	assert_int_equal(file_write_volatile(in_folder(f, "run/utmp"), records,
					     n * sizeof(records[0]), 0644, &err),
			 0);
}

/* The names, with blanks between. */
static const char *list(const struct folder *f)
{
	static char text[1024];
	json_auto_t *users = logged_in_users(f->path);
	size_t i, len = 0;
	json_t *user;

	assert_true(json_is_array(users));
	text[0] = '\0';
	json_array_foreach(users, i, user)
	{
		assert_int_equal(json_object_size(user), 1);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "",
					json_get_text(user, "Username"));
	}
	return text;
}

static void each_user_of_utmp_is_told_once(void **state)
{
	static const struct entry entries[] = {
		{BOOT_TIME, 0, "reboot"},  {USER_PROCESS, 10, "mira"}, {LOGIN_PROCESS, 11, "LOGIN"},
		{USER_PROCESS, 12, "bob"}, {USER_PROCESS, 13, "mira"}, {DEAD_PROCESS, 14, "carol"},
		{USER_PROCESS, 15, ""},
	};
	const struct folder *f = *state;

	put_utmp(f, entries, ARRAY_SIZE(entries));
	for (int pid = 10; pid < 16; pid++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "proc/%d/stat", pid);
		(void)put(f, name, "");
	}
	assert_string_equal(list(f), "bob mira");
}

static void an_entry_of_a_process_that_is_gone_is_nobody(void **state)
{
	static const struct entry entries[] = {{USER_PROCESS, 10, "mira"},
					       {USER_PROCESS, 12, "bob"}};
	const struct folder *f = *state;

	put_utmp(f, entries, ARRAY_SIZE(entries));
	(void)put(f, "proc/12/stat", "");
	assert_string_equal(list(f), "bob");
}

static void a_name_may_fill_its_field(void **state)
{
	static const struct entry entries[] = {
		{USER_PROCESS, 10, "a-name-of-thirty-two-characters-x-and-more"}};
	const struct folder *f = *state;

	put_utmp(f, entries, ARRAY_SIZE(entries));
	(void)put(f, "proc/10/stat", "");
	assert_string_equal(list(f), "a-name-of-thirty-two-characters-");
}

static void what_is_no_utmp_has_no_users(void **state)
{
	const struct folder *f = *state;

	assert_string_equal(list(f), "");
	(void)put(f, "run/utmp", "too short");
	assert_string_equal(list(f), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_user_of_utmp_is_told_once),
		TEST(an_entry_of_a_process_that_is_gone_is_nobody),
		TEST(a_name_may_fill_its_field),
		TEST(what_is_no_utmp_has_no_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
