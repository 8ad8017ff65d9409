#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "screenshot/monitor.h"

static void assert_monitor(const struct monitor *m, int x, int y, unsigned width, unsigned height,
			   bool is_primary)
{
	assert_int_equal(m->x, x);
	assert_int_equal(m->y, y);
	assert_int_equal(m->width, width);
	assert_int_equal(m->height, height);
	assert_int_equal(m->is_primary, is_primary);
}

static void the_primary_monitor_comes_first(void **state)
{
	struct monitor list[] = {
		{0, 0, 10, 10, false}, {10, 0, 20, 10, false}, {30, 0, 5, 5, true}};

	(void)state;
	assert_int_equal(monitor_list_arrange(list, 3, 100, 100), 3);
	assert_monitor(&list[0], 30, 0, 5, 5, true);
	assert_monitor(&list[1], 0, 0, 10, 10, false);
	assert_monitor(&list[2], 10, 0, 20, 10, false);
}

static void exactly_one_monitor_is_primary(void **state)
{
	struct monitor none[] = {{0, 0, 10, 10, false}, {10, 0, 20, 10, false}};
	struct monitor both[] = {{0, 0, 10, 10, true}, {10, 0, 20, 10, true}};

	(void)state;
	assert_int_equal(monitor_list_arrange(none, 2, 100, 100), 2);
	assert_monitor(&none[0], 0, 0, 10, 10, true);
	assert_monitor(&none[1], 10, 0, 20, 10, false);
	assert_int_equal(monitor_list_arrange(both, 2, 100, 100), 2);
	assert_monitor(&both[0], 0, 0, 10, 10, true);
	assert_monitor(&both[1], 10, 0, 20, 10, false);
}

static void what_lies_beyond_the_screen_is_cut_off(void **state)
{
	struct monitor list[] = {{-5, -5, 20, 20, false},
				 {90, 40, 20, 20, false},
				 {100, 0, 10, 10, true},
				 {0, 0, 0, 10, false},
				 {-32768, 0, 65535, 1, false}};

	(void)state;
	assert_int_equal(monitor_list_arrange(list, 5, 100, 50), 3);
	assert_monitor(&list[0], 0, 0, 15, 15, true);
	assert_monitor(&list[1], 90, 40, 10, 10, false);
	assert_monitor(&list[2], 0, 0, 100, 1, false);
}

static void without_monitors_there_is_the_whole_screen(void **state)
{
	struct monitor list[] = {{200, 0, 10, 10, true}};

	(void)state;
	assert_int_equal(monitor_list_arrange(list, 1, 100, 50), 1);
	assert_monitor(&list[0], 0, 0, 100, 50, true);
	assert_int_equal(monitor_list_arrange(list, 0, 70, 50), 1);
	assert_monitor(&list[0], 0, 0, 70, 50, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_primary_monitor_comes_first),
		cmocka_unit_test(exactly_one_monitor_is_primary),
		cmocka_unit_test(what_lies_beyond_the_screen_is_cut_off),
		cmocka_unit_test(without_monitors_there_is_the_whole_screen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
