#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "ctl/table.h"
#include "ctl/visible.h"

static void columns_are_as_wide_as_what_stands_in_them(void **state)
{
	AUTO(table_done) struct table table = {.heads = {"ID", "NAME", "X"}};
	AUTO(buf_done) struct buf out = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(table_add(&table, (const char *[]){"1", "\xe8\xa8\xad", "a"}, NULL, &err),
			 0);
	assert_int_equal(table_add(&table, (const char *[]){"longer", NULL, ""}, "why: \x1b", &err),
			 0);
	assert_int_equal(table_print(&table, &out, &err), 0);
	assert_string_equal(out.data, "ID      NAME  X\n"
				      "1       \xe8\xa8\xad    a\n"
				      "longer  -     -\n"
				      "    why: \\x1b\n");
}

static void a_table_without_rows_is_its_heading(void **state)
{
	AUTO(table_done) struct table table = {.heads = {"ID", "NAME"}};
	AUTO(buf_done) struct buf out = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(table_print(&table, &out, &err), 0);
	assert_string_equal(out.data, "ID  NAME\n");
}

static void an_absurd_cell_is_whole_and_pads_no_other_row(void **state)
{
	AUTO(table_done) struct table table = {.heads = {"ID", "NAME"}};
	AUTO(buf_done) struct buf out = {0};
	struct error err = {0};
	char id[5001];

	(void)state;
	memset(id, 'x', 5000);
	id[5000] = '\0';
	assert_int_equal(table_add(&table, (const char *[]){id, "a"}, NULL, &err), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(table_add(&table, (const char *[]){"1", "b"}, NULL, &err), 0);
	assert_int_equal(table_print(&table, &out, &err), 0);
	assert_non_null(strstr(out.data, id));
	assert_int_equal(out.len, strlen("ID  NAME\n") + 5000 + strlen("  a\n") + 100 * 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_what_stands_in_them),
		cmocka_unit_test(a_table_without_rows_is_its_heading),
		cmocka_unit_test(an_absurd_cell_is_whole_and_pads_no_other_row),
	};

	visible_use_utf8();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
