#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/keeper/cgroup.h"
#include "common/cleanup.h"

static void assert_parsed(const char *text, const char *expected)
{
	AUTO(free_p) char *line = cgroup_parse(text);

	if (!expected) {
		assert_null(line);
		return;
	}
	assert_non_null(line);
	assert_string_equal(line, expected);
}

static void the_path_of_v2_is_found_among_those_of_v1(void **state)
{
	(void)state;
	assert_parsed("0::/\n", "/");
	assert_parsed("0::/user.slice/user-1000.slice/session-3.scope\n",
		      "/user.slice/user-1000.slice/session-3.scope");
	assert_parsed("9:name=systemd:/x\n4:memory:/0::/y\n0::/z\n", "/z");
	assert_parsed("0::/no newline", "/no newline");
}

static void where_there_is_no_v2_there_is_no_path(void **state)
{
	(void)state;
	assert_parsed("", NULL);
	assert_parsed("4:memory:/x\n", NULL);
	assert_parsed("10::/x\n0:x:/y\n", NULL);
}

static void without_a_cgroup_nothing_is_in_it(void **state)
{
	struct cgroup none = {0};
	struct error err = {0};
	bool is_child = false;
	pid_t pids[4], pid;
	int status = 0;

	(void)state;
	assert_false(cgroup_has(&none, getpid()));
	assert_false(cgroup_is_populated(&none));
	assert_int_equal(cgroup_list(&none, pids, 4), 0);
	pid = cgroup_fork(&none, &is_child, &err);
	if (is_child)
		_exit(pid == 0 ? 7 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	cgroup_kill(&none);
	cgroup_remove(&none);
}

static void a_path_outside_of_the_mount_is_not_adopted(void **state)
{
	struct cgroup cgroup = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(cgroup_adopt(&cgroup, "/tmp/dcv-session-1", &err), 0);
	assert_null(cgroup.path);
	cgroup_done(&cgroup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_path_of_v2_is_found_among_those_of_v1),
		cmocka_unit_test(where_there_is_no_v2_there_is_no_path),
		cmocka_unit_test(without_a_cgroup_nothing_is_in_it),
		cmocka_unit_test(a_path_outside_of_the_mount_is_not_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
