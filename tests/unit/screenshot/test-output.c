#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "screenshot/output.h"

static void assert_numbered(const char *path, const char *expected)
{
	AUTO(free_p) char *numbered = NULL;
	struct error err = {0};

	assert_int_equal(output_numbered_path(path, 12, &numbered, &err), 0);
	assert_string_equal(numbered, expected);
}

static void a_number_goes_before_the_suffix(void **state)
{
	(void)state;
	assert_numbered("shot.png", "shot-12.png");
	assert_numbered("a.b/shot.tar.jpg", "a.b/shot.tar-12.jpg");
	assert_numbered("a.b/shot", "a.b/shot-12");
	assert_numbered("/tmp/.png", "/tmp/.png-12");
	assert_numbered("shot", "shot-12");
}

static void a_file_is_replaced_with_the_permissions_of_a_new_one(void **state)
{
	char folder[] = "/tmp/test-output-XXXXXX";
	struct error err = {0};
	struct stat st;
	char path[64];

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/shot", folder);
	(void)umask(027);
	assert_int_equal(output_write_file(path, "old and long", 12, &err), 0);
	assert_int_equal(output_write_file(path, "new", 3, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(unlink(path), 0);
	/* empty, so nothing was left beside it */
	assert_int_equal(rmdir(folder), 0);
}

static void a_device_is_written_to_and_stays(void **state)
{
	struct error err = {0};
	struct stat st;

	(void)state;
	assert_int_equal(output_write_file("/dev/full", "x", 1, &err), -1);
	assert_string_equal(err.message, "/dev/full: write: No space left on device");
	assert_int_equal(output_write_file("/dev/null", "x", 1, &err), 0);
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_goes_before_the_suffix),
		cmocka_unit_test(a_file_is_replaced_with_the_permissions_of_a_new_one),
		cmocka_unit_test(a_device_is_written_to_and_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
