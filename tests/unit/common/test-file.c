#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "tests/unit/unit.h"

struct fixture {
	char folder[64];
	char path[128];
};

static int set_up(void **state)
{
	static struct fixture f;

	(void)snprintf(f.folder, sizeof(f.folder), "/tmp/test-file-XXXXXX");
	if (!mkdtemp(f.folder))
		return -1;
	(void)snprintf(f.path, sizeof(f.path), "%s/file", f.folder);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
	return system(command) == 0 ? 0 : -1;
}

static const char *in_folder(const struct fixture *f, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	return path;
}

static void what_was_written_is_read(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf text = {0};
	struct error err = {0};
	struct stat status;

	assert_int_equal(file_write_atomic(f->path, "one\0two", 7, 0640, &err), 0);
	assert_int_equal(buf_append_text(&text, "before ", &err), 0);
	assert_int_equal(file_read(f->path, 7, &text, &err), 0);
	assert_int_equal(text.len, 14);
	assert_memory_equal(text.data, "before one\0two", 15);
	assert_int_equal(stat(f->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
}

static void the_mode_is_as_asked_whatever_the_umask(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct stat status;
	mode_t mask = umask(0077);

	assert_int_equal(file_write_atomic(f->path, "", 0, 0644, &err), 0);
	(void)umask(mask);
	assert_int_equal(stat(f->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
	assert_int_equal(status.st_size, 0);
}

static void a_file_above_the_limit_is_refused(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf text = {0};
	char big[10000];
	struct error err;

	memset(big, 'x', sizeof(big));
	assert_int_equal(file_write_atomic(f->path, big, sizeof(big), 0600, &err), 0);
	assert_fails(file_read(f->path, sizeof(big) - 1, &text, &err), ERR_TOO_LARGE);
	assert_non_null(strstr(err.message, f->path));
	buf_done(&text);
	assert_int_equal(file_read(f->path, sizeof(big), &text, &err), 0);
	assert_int_equal(text.len, sizeof(big));
}

static void errors_name_the_path(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	assert_fails(file_read(f->path, 10, &text, &err), ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, f->path));
	assert_fails(file_read(f->folder, 10, &text, &err), ERR_SYSTEM);
	assert_non_null(strstr(err.message, f->folder));
	assert_fails(file_write_atomic(in_folder(f, "none/file"), "x", 1, 0600, &err),
		     ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "none/file"));
}

/* A folder stands where the file should go: written, synced, and then it cannot be renamed. */
static void a_failed_write_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_fails(file_write_atomic(f->path, "x", 1, 0600, &err), ERR_SYSTEM);
	assert_int_equal(access(in_folder(f, "file.new"), F_OK), -1);
}

static void a_left_over_of_a_crash_is_no_obstacle_and_a_link_is_not_followed(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf text = {0};
	struct error err = {0};
	char target[256];

	assert_int_equal(file_write_atomic(in_folder(f, "file.new"), "half", 4, 0600, &err), 0);
	assert_int_equal(file_write_atomic(f->path, "x", 1, 0600, &err), 0);
	assert_int_equal(file_read(f->path, 10, &text, &err), 0);
	assert_string_equal(text.data, "x");
	(void)snprintf(target, sizeof(target), "%s", in_folder(f, "target"));
	assert_int_equal(symlink(target, in_folder(f, "file.new")), 0);
	assert_fails(file_write_atomic(f->path, "y", 1, 0600, &err), ERR_SYSTEM);
	assert_int_equal(access(target, F_OK), -1);
}

static void folders_are_made_with_their_parents(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct stat status;

	assert_int_equal(file_make_folder(in_folder(f, "a/b//c/"), 0750, &err), 0);
	assert_int_equal(stat(in_folder(f, "a/b/c"), &status), 0);
	assert_true(S_ISDIR(status.st_mode));
	assert_int_equal(file_make_folder(in_folder(f, "a/b/c"), 0750, &err), 0);
	assert_int_equal(file_make_folder("/", 0750, &err), 0);
}

static void a_file_is_no_folder(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(file_write_atomic(f->path, "x", 1, 0600, &err), 0);
	assert_fails(file_make_folder(f->path, 0750, &err), ERR_SYSTEM);
	assert_non_null(strstr(err.message, f->path));
	assert_fails(file_make_folder(in_folder(f, "file/b"), 0750, &err), ERR_SYSTEM);
	assert_fails(file_make_folder("", 0750, &err), ERR_NOT_FOUND);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(what_was_written_is_read),
		WITH_FOLDER(the_mode_is_as_asked_whatever_the_umask),
		WITH_FOLDER(a_file_above_the_limit_is_refused),
		WITH_FOLDER(errors_name_the_path),
		WITH_FOLDER(a_failed_write_leaves_nothing_behind),
		WITH_FOLDER(a_left_over_of_a_crash_is_no_obstacle_and_a_link_is_not_followed),
		WITH_FOLDER(folders_are_made_with_their_parents),
		WITH_FOLDER(a_file_is_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
