#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "ctl/images.h"

static void assert_named(const char *id, const char *expected)
{
	AUTO(buf_done) struct buf name = {0};
	struct error err = {0};

	assert_int_equal(images_name(id, 2, "png", &name, &err), 0);
	assert_string_equal(name.data, expected);
}

static void plain_ids_are_file_names(void **state)
{
	(void)state;
	assert_named("0c9be39d-7d6c-4f0e", "0c9be39d-7d6c-4f0e-2.png");
	assert_named("console", "console-2.png");
	assert_named("a.b_C", "a.b_C-2.png");
}

static void no_id_leads_out_of_the_folder_or_hides(void **state)
{
	(void)state;
	assert_named("../x", "%2E.%2Fx-2.png");
	assert_named("/etc/passwd", "%2Fetc%2Fpasswd-2.png");
	assert_named(".bashrc", "%2Ebashrc-2.png");
	assert_named("", "-2.png");
	assert_named("a b\n\xff", "a%20b%0A%FF-2.png");
}

static void different_ids_never_share_a_file(void **state)
{
	(void)state;
	assert_named("a/b", "a%2Fb-2.png");
	assert_named("a%2Fb", "a%252Fb-2.png");
}

static void a_format_is_a_short_plain_word(void **state)
{
	static const char *const bad[] = {"",    "PNG",       "png/../x", ".png",
					  "p g", "abcdefghi", "\xc3\xa9"};
	AUTO(buf_done) struct buf name = {0};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(images_name("x", 1, bad[i], &name, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_ids_are_file_names),
		cmocka_unit_test(no_id_leads_out_of_the_folder_or_hides),
		cmocka_unit_test(different_ids_never_share_a_file),
		cmocka_unit_test(a_format_is_a_short_plain_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
