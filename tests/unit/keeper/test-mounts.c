#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "agent/keeper/mounts.h"

static void put(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

/* What is said to be missing, or "nothing". */
static const char *missing(const char *folder, const char *fstab, const char *mounts)
{
	char fstab_path[] = "/tmp/test-mounts-XXXXXX", mounts_path[] = "/tmp/test-mounts-XXXXXX";
	static char text[300];

	put(fstab_path, fstab);
	put(mounts_path, mounts);
	(void)strcpy(text, "nothing");
	(void)mounts_missing(folder, fstab_path, mounts_path, text, sizeof(text));
	(void)unlink(fstab_path);
	(void)unlink(mounts_path);
	return text;
}

#define ROOT "/dev/sda1 / ext4 rw 0 0\n"
#define HOMES "server:/homes /home nfs rw 0 0\n"
#define AUTO "auto.home /home autofs rw 0 0\n"

static void what_is_mounted_or_nobodys_is_not_missing(void **state)
{
	(void)state;
	assert_string_equal(missing("/home/mira", ROOT, ROOT), "nothing");
	assert_string_equal(missing("/home/mira", ROOT HOMES, ROOT HOMES), "nothing");
	assert_string_equal(missing("/homes/mira", ROOT HOMES, ROOT), "nothing");
	assert_string_equal(missing("/home/mira", "# comment\n\nnonsense\n", ""), "nothing");
	assert_string_equal(
		missing("/home/mira", ROOT HOMES, ROOT HOMES AUTO "x:/y /home/mira nfs rw 0 0\n"),
		"nothing");
}

static void what_fstab_has_and_nobody_has_mounted_is_missing(void **state)
{
	(void)state;
	assert_string_equal(missing("/home/mira", ROOT HOMES, ROOT),
			    "/home of fstab is not mounted");
	assert_string_equal(missing("/home", ROOT HOMES, ROOT), "/home of fstab is not mounted");
	assert_string_equal(
		missing("/home/mira", ROOT HOMES "x:/y /home/mira nfs rw 0 0\n", ROOT HOMES),
		"/home/mira of fstab is not mounted");
}

static void what_the_automounter_does_not_bring_is_missing(void **state)
{
	(void)state;
	assert_string_equal(missing("/home/mira", ROOT, ROOT AUTO),
			    "the automounter of /home does not bring it");
	assert_string_equal(missing("/var/mira", ROOT, ROOT AUTO), "nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_mounted_or_nobodys_is_not_missing),
		cmocka_unit_test(what_fstab_has_and_nobody_has_mounted_is_missing),
		cmocka_unit_test(what_the_automounter_does_not_bring_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
