#include "agent/disk.h"

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

/* Which of the folders are told of, with these mounts. */
static const char *told(const struct folder *f, const char *mounts)
{
	static char text[64];
	json_auto_t *free_bytes = NULL;
	const char *key;
	json_t *value;

	(void)put(f, "proc/self/mounts", mounts);
	free_bytes = disk_free_bytes(f->path);
	text[0] = '\0';
	json_object_foreach(free_bytes, key, value)
	{
		assert_true(json_integer_value(value) >= 0);
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", key);
	}
	return text;
}

static void what_may_take_for_ever_is_not_asked(void **state)
{
	const struct folder *f = *state;

	assert_string_equal(told(f, "/dev/sda1 / ext4 rw 0 0\n"), "/home /tmp /run ");
	assert_string_equal(told(f, ""), "/home /tmp /run ");
	assert_string_equal(told(f, "/dev/sda1 / ext4 rw 0 0\nsrv:/home /home nfs4 rw 0 0\n"
				    "tmpfs /run tmpfs rw 0 0\n"),
			    "/tmp /run ");
	assert_string_equal(told(f, "auto /home autofs rw 0 0\n//srv/x /tmp cifs rw 0 0\n"),
			    "/run ");
	/* the root over the network, and disks of its own */
	assert_string_equal(told(f, "srv:/ / nfs rw 0 0\ntmpfs /run tmpfs rw 0 0\n"
				    "/dev/sda1 /tmp ext4 rw 0 0\n"),
			    "/tmp /run ");
	/* mounted over, and names that only begin alike */
	assert_string_equal(told(f, "srv:/h /home nfs rw 0 0\n/dev/sdb1 /home xfs rw 0 0\n"
				    "srv:/x /tmpx nfs rw 0 0\nsrv:/y /run/user nfs rw 0 0\n"),
			    "/home /tmp /run ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_may_take_for_ever_is_not_asked, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
