#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <X11/Xauth.h>
#include <sys/stat.h>

#include "agent/keeper/xserver.h"
#include "common/cleanup.h"

static Xauth *read_entry(const char *path)
{
	AUTO(fclose_p) FILE *file = fopen(path, "re");
	Xauth *entry;

	assert_non_null(file);
	entry = XauReadAuth(file);
	assert_non_null(entry);
	assert_null(XauReadAuth(file));
	return entry;
}

static void the_authority_fits_any_display_and_is_new_each_time(void **state)
{
	char folder[] = "/tmp/test-xserver-XXXXXX", first[64], second[64];
	struct error err = {0};
	struct stat st;
	Xauth *a, *b;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(first, sizeof(first), "%s/a", folder);
	(void)snprintf(second, sizeof(second), "%s/b", folder);
	assert_int_equal(xserver_write_authority(first, &err), 0);
	assert_int_equal(xserver_write_authority(second, &err), 0);
	assert_int_equal(xserver_write_authority(second, &err), -1); /* never into a file there */
	assert_int_equal(stat(first, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	a = read_entry(first);
	b = read_entry(second);
	assert_int_equal(a->family, FamilyWild);
	assert_int_equal(a->address_length, 0);
	assert_int_equal(a->number_length, 0);
	assert_int_equal(a->data_length, 16);
	assert_memory_equal(a->name, "MIT-MAGIC-COOKIE-1", 18);
	assert_memory_not_equal(a->data, b->data, 16);
	XauDisposeAuth(a);
	XauDisposeAuth(b);
	(void)unlink(first);
	(void)unlink(second);
	(void)rmdir(folder);
}

/* What an X server that writes @text says is its display: -2 if it is refused. */
static int display_of(const char *text)
{
	struct xserver x = XSERVER_NONE;
	struct error err = {0};
	int fds[2], rc = 0, display;

	assert_int_equal(pipe(fds), 0);
	x.display_fd = fds[0];
	assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
	(void)close(fds[1]);
	while (rc == 0 && x.display_fd >= 0)
		rc = xserver_read_display(&x, getuid(), &err);
	display = rc < 0 ? -2 : x.socket.display;
	xserver_done(&x);
	return display;
}

static void only_a_number_is_a_display(void **state)
{
	(void)state;
	assert_int_equal(display_of("0\n"), 0);
	assert_int_equal(display_of("65535\n"), 65535);
	assert_int_equal(display_of("65536\n"), -2);
	assert_int_equal(display_of("-1\n"), -2);
	assert_int_equal(display_of("1 2\n"), -2);
	assert_int_equal(display_of("../../etc\n"), -2);
	assert_int_equal(display_of("\n"), -2);
	assert_int_equal(display_of("123456789012345678901234567890"), -2);
	assert_int_equal(display_of(""), -1); /* it ended; its exit status will tell */
	assert_int_equal(display_of("12"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_authority_fits_any_display_and_is_new_each_time),
		cmocka_unit_test(only_a_number_is_a_display),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
