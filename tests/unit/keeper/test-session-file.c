#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <limits.h>
#include <sys/stat.h>

#include "agent/keeper/tree.h"
#include "agent/session-file.h"
#include "common/cleanup.h"

struct fixture {
	char top[64];
	char folder[96];
};

static void make(struct fixture *f, const char *name, mode_t mode)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	file = fopen(path, "we");
	assert_non_null(file);
	(void)fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void make_link(struct fixture *f, const char *target, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	assert_int_equal(symlink(target, path), 0);
}

static void make_folder(struct fixture *f, const char *name, mode_t mode)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	assert_int_equal(mkdir(path, mode), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	AUTO(free_p) char *real = NULL;

	strcpy(f->top, "/tmp/test-file-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	real = realpath(f->top, NULL);
	assert_non_null(real);
	assert_true(strlen(real) < sizeof(f->top));
	strcpy(f->top, real);
	(void)snprintf(f->folder, sizeof(f->folder), "%s/init", f->top);
	assert_int_equal(mkdir(f->folder, 0755), 0);
	make(f, "good.sh", 0755);
	make(f, "../outside.sh", 0755);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	assert_int_equal(tree_remove(f->top, &err), 0);
	assert_int_equal(access(f->top, F_OK), -1);
	assert_int_equal(tree_remove(f->top, &err), 0); /* not there is removed */
	free(f);
	return 0;
}

static void assert_found(struct fixture *f, const char *name, const char *as)
{
	AUTO(free_p) char *path = NULL;
	struct error err = {0};
	char expected[256];

	if (session_file_find("init file", f->folder, name, &path, &err) < 0)
		fail_msg("%s: %s", name, err.message);
	(void)snprintf(expected, sizeof(expected), "%s/%s", f->folder, as);
	assert_string_equal(path, expected);
}

static void assert_refused(struct fixture *f, const char *name, const char *sentence)
{
	AUTO(free_p) char *path = NULL;
	struct error err = {0};

	assert_int_equal(session_file_find("init file", f->folder, name, &path, &err), -1);
	assert_null(path);
	assert_true(error_blames_request(err.code));
	assert_non_null(strstr(err.message, "init file"));
	if (!strstr(err.message, sentence))
		fail_msg("%s: '%s' does not say '%s'", name, err.message, sentence);
}

static void what_lies_beneath_is_found_by_its_real_path(void **state)
{
	struct fixture *f = *state;

	make_folder(f, "sub", 0755);
	make(f, "sub/deep.sh", 0755);
	make_link(f, "sub/deep.sh", "link");
	make_link(f, "../good.sh", "sub/up");
	assert_found(f, "good.sh", "good.sh");
	assert_found(f, "./good.sh", "good.sh");
	assert_found(f, "sub/../good.sh", "good.sh");
	assert_found(f, "sub/deep.sh", "sub/deep.sh");
	assert_found(f, "link", "sub/deep.sh");
	assert_found(f, "sub/up", "good.sh");
}

static void what_lies_outside_is_refused(void **state)
{
	struct fixture *f = *state;

	make_link(f, "../outside.sh", "link");
	make_link(f, "/bin/sh", "absolute");
	make_link(f, "..", "up");
	make_link(f, "/proc/self/exe", "magic");
	assert_refused(f, "", "the name is empty");
	assert_refused(f, "/bin/sh", "is outside");
	assert_refused(f, "../outside.sh", "is outside");
	assert_refused(f, "..", "is outside");
	assert_refused(f, "link", "is outside");
	assert_refused(f, "absolute", "is outside");
	assert_refused(f, "up/outside.sh", "is outside");
	assert_refused(f, "magic", "is outside");
}

static void what_is_no_file_is_refused(void **state)
{
	struct fixture *f = *state;

	make_folder(f, "sub", 0755);
	make_link(f, "nowhere", "dangling");
	assert_refused(f, "absent", "does not exist");
	assert_refused(f, "good.sh/x", "does not exist");
	assert_refused(f, "dangling", "does not exist");
	assert_refused(f, "sub", "is not a regular file");
	assert_refused(f, ".", "is not a regular file");
}

static void what_others_may_change_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[256];

	make(f, "world", 0757);
	make(f, "group", 0775);
	(void)snprintf(path, sizeof(path), "%s/group", f->folder);
	if (geteuid() == 0) {
		assert_found(f, "group", "group"); /* root's group */
		assert_int_equal(chown(path, 0, 1), 0);
		make(f, "foreign", 0755);
		(void)snprintf(path, sizeof(path), "%s/foreign", f->folder);
		assert_int_equal(chown(path, 1, 0), 0);
		assert_refused(f, "foreign", "belongs to uid 1");
	}
	assert_refused(f, "world", "is writable by others (mode 0757)");
	assert_refused(f, "group", "is writable by others (mode 0775)");
	make_folder(f, "open", 0777);
	make(f, "open/inside", 0755);
	make_link(f, "open/inside", "link");
	assert_refused(f, "open/inside", "lies in a folder that is writable by others");
	assert_refused(f, "link", "lies in a folder that is writable by others");
}

static void what_is_not_executable_is_refused(void **state)
{
	struct fixture *f = *state;

	make(f, "plain", 0644);
	assert_refused(f, "plain", "is not executable by the session's owner");
}

static void a_folder_that_is_absent_is_named(void **state)
{
	AUTO(free_p) char *path = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(session_file_find("init file", "/no/such/folder", "x", &path, &err), -1);
	assert_non_null(strstr(err.message, "/no/such/folder"));
	assert_int_equal(err.code, ERR_NOT_FOUND); /* nor is the file */
}

static void a_folder_that_cannot_be_used_is_the_hosts_fault(void **state)
{
	struct fixture *f = *state;
	AUTO(free_p) char *path = NULL;
	struct error err = {0};
	char no_folder[128];

	(void)snprintf(no_folder, sizeof(no_folder), "%s/good.sh", f->folder);
	assert_int_equal(session_file_find("init file", no_folder, "x", &path, &err), -1);
	assert_false(error_blames_request(err.code));
	assert_int_equal(chmod(f->folder, 0777), 0);
	assert_int_equal(session_file_find("init file", f->folder, "good.sh", &path, &err), -1);
	assert_non_null(strstr(err.message, "can be written by others"));
	assert_false(error_blames_request(err.code));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_lies_beneath_is_found_by_its_real_path),
		TEST(what_lies_outside_is_refused),
		TEST(what_is_no_file_is_refused),
		TEST(what_others_may_change_is_refused),
		TEST(what_is_not_executable_is_refused),
		TEST(a_folder_that_is_absent_is_named),
		TEST(a_folder_that_cannot_be_used_is_the_hosts_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
