#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/local-display.h"
#include "agent/keeper/seat.h"

static void a_local_display_has_a_number_and_maybe_a_screen(void **state)
{
	static const char *const others[] = {
		"",
		":",
		"0",
		":.0",
		":x",
		":0x",
		": 0",
		":-1",
		"host:10.0",
		"unix:0",
		":+1",
		":65536",
		"::1",
		":0:0",
		":000000000000000000000",
		":9999999999999999",
	};

	(void)state;
	assert_int_equal(seat_display_number(":0"), 0);
	assert_int_equal(seat_display_number(":0.1"), 0);
	assert_int_equal(seat_display_number(":17.0"), 17);
	assert_int_equal(seat_display_number(":65535"), 65535);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(seat_display_number(others[i]), -1);
}

#define READ(text, login, display) read_environ(text, sizeof(text) - 1, login, display)

static const char *authority;

/* The last string of @text may be without its end, as in the file. */
static int read_environ(const char *text, size_t len, const char *login, int display)
{
	authority = "unset";
	return local_display_read_environ(text, len, login, display, &authority);
}

static void a_display_is_that_of_the_login_or_the_one_that_is_asked_for(void **state)
{
	(void)state;
	assert_int_equal(READ("A=b\0DISPLAY=:3\0XAUTHORITY=/x\0XDG_SESSION_ID=7\0", "7", -1), 3);
	assert_string_equal(authority, "/x");
	assert_int_equal(READ("DISPLAY=:3\0XDG_SESSION_ID=7", "7", -1), 3);
	assert_string_equal(authority, "");
	/* of another login, or of none */
	assert_int_equal(READ("DISPLAY=:3\0XDG_SESSION_ID=77\0", "7", -1), -1);
	assert_int_equal(READ("DISPLAY=:3\0", "7", -1), -1);
	assert_int_equal(READ("DISPLAY=:3\0XDG_SESSION_ID=\0", NULL, -1), -1);
	/* with a known display that decides */
	assert_int_equal(READ("XAUTHORITY=/y\0DISPLAY=:3.0\0", "7", 3), 3);
	assert_string_equal(authority, "/y");
	assert_int_equal(READ("DISPLAY=:4\0XDG_SESSION_ID=7\0", "7", 3), -1);
}

static void an_environment_without_a_local_display_tells_of_none(void **state)
{
	(void)state;
	assert_int_equal(READ("", "7", -1), -1);
	assert_int_equal(READ("\0\0\0", "7", -1), -1);
	assert_int_equal(READ("XDG_SESSION_ID=7\0DISPLAY=host:10.0\0", "7", -1), -1);
	assert_int_equal(READ("XDG_SESSION_ID=7\0DISPLAY\0XDISPLAY=:1\0", "7", -1), -1);
}

#define TEST(function) cmocka_unit_test(function)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_local_display_has_a_number_and_maybe_a_screen),
		TEST(a_display_is_that_of_the_login_or_the_one_that_is_asked_for),
		TEST(an_environment_without_a_local_display_tells_of_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
