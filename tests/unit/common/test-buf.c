#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "tests/unit/unit.h"

static void what_is_appended_is_there_and_ends_in_a_nul(void **state)
{
	AUTO(buf_done) struct buf buf = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(buf_append(&buf, "a\0b", 3, &err), 0);
	assert_int_equal(buf_append_text(&buf, "cd", &err), 0);
	assert_int_equal(buf_printf(&buf, &err, "%d%s", 42, "!"), 0);
	assert_int_equal(buf.len, 8);
	assert_memory_equal(buf.data, "a\0bcd42!", 9);
}

static void appending_nothing_makes_an_empty_text(void **state)
{
	AUTO(buf_done) struct buf buf = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(buf_append(&buf, NULL, 0, &err), 0);
	assert_string_equal(buf.data, "");
}

static void reserved_room_is_used_without_moving(void **state)
{
	AUTO(buf_done) struct buf buf = {0};
	struct error err = {0};
	const char *data;

	(void)state;
	assert_int_equal(buf_reserve(&buf, 1000, &err), 0);
	data = buf.data;
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_append_text(&buf, "0123456789", &err), 0);
	assert_ptr_equal(buf.data, data);
	assert_int_equal(strlen(buf.data), 1000);
}

static void a_size_that_cannot_be_is_refused_and_changes_nothing(void **state)
{
	AUTO(buf_done) struct buf buf = {0};
	struct error err;

	(void)state;
	assert_int_equal(buf_append_text(&buf, "text", &err), 0);
	assert_fails(buf_reserve(&buf, SIZE_MAX, &err), ERR_NO_MEMORY);
	assert_fails(buf_reserve(&buf, SIZE_MAX - 4, &err), ERR_NO_MEMORY);
	assert_fails(buf_reserve(&buf, SIZE_MAX / 2, &err), ERR_NO_MEMORY);
	assert_string_equal(buf.data, "text");
	assert_int_equal(buf.len, 4);
}

static void bytes_leave_at_the_front_and_at_the_end(void **state)
{
	AUTO(buf_done) struct buf buf = {0};
	struct error err;

	(void)state;
	buf_consume(&buf, 0);
	buf_truncate(&buf, 0);
	assert_int_equal(buf_append_text(&buf, "GET / HTTP", &err), 0);
	buf_consume(&buf, 4);
	assert_string_equal(buf.data, "/ HTTP");
	buf_truncate(&buf, 1);
	assert_string_equal(buf.data, "/");
	buf_consume(&buf, 1);
	assert_string_equal(buf.data, "");
}

static void bytes_come_before_what_is_there(void **state)
{
	AUTO(buf_done) struct buf buf = {0};
	struct error err;

	(void)state;
	assert_int_equal(buf_prepend(&buf, "end", 3, &err), 0);
	assert_string_equal(buf.data, "end");
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_prepend(&buf, "0123456789", 10, &err), 0);
	assert_int_equal(buf.len, 1003);
	assert_string_equal(buf.data + 990, "0123456789end");
	assert_fails(buf_prepend(&buf, "", SIZE_MAX / 2, &err), ERR_NO_MEMORY);
	assert_int_equal(buf.len, 1003);
}

static void a_stolen_text_belongs_to_the_thief(void **state)
{
	AUTO(buf_done) struct buf buf = {0};
	AUTO(free_p) char *text = NULL, *empty = NULL;
	struct error err;

	(void)state;
	assert_int_equal(buf_append_text(&buf, "mine", &err), 0);
	text = buf_steal(&buf);
	assert_string_equal(text, "mine");
	assert_null(buf.data);
	assert_int_equal(buf.len, 0);
	empty = buf_steal(&buf);
	assert_string_equal(empty, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_appended_is_there_and_ends_in_a_nul),
		cmocka_unit_test(appending_nothing_makes_an_empty_text),
		cmocka_unit_test(reserved_room_is_used_without_moving),
		cmocka_unit_test(a_size_that_cannot_be_is_refused_and_changes_nothing),
		cmocka_unit_test(bytes_leave_at_the_front_and_at_the_end),
		cmocka_unit_test(bytes_come_before_what_is_there),
		cmocka_unit_test(a_stolen_text_belongs_to_the_thief),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
