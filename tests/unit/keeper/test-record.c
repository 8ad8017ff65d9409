#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/record.h"
#include "common/cleanup.h"

static void what_is_written_can_be_read(void **state)
{
	char folder[] = "/tmp/test-record-XXXXXX", path[64];
	char id[] = "s1", owner[] = "a b\nc=d", cgroup[] = "/sys/fs/cgroup/x";
	const struct record written = {.session_id = id,
				       .owner = owner,
				       .cgroup = cgroup,
				       .uid = 4294967294LL,
				       .pid = 7,
				       .display = 0,
				       .x_dev = -1,
				       .x_ino = 9,
				       .x_born_ns = 1700000000000000001LL};
	AUTO(record_done) struct record read = RECORD_NONE;
	struct error err = {0};

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/state", folder);
	assert_int_equal(record_read(&read, path, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(record_write(&written, path, &err), 0);
	assert_int_equal(record_read(&read, path, &err), 0);
	assert_string_equal(read.session_id, id);
	assert_string_equal(read.owner, owner);
	assert_string_equal(read.cgroup, cgroup);
	assert_true(read.uid == written.uid && read.pid == 7 && read.display == 0);
	assert_true(read.x_dev == -1 && read.x_ino == 9 && read.x_born_ns == written.x_born_ns);
	(void)unlink(path);
	(void)rmdir(folder);
}

static void a_damaged_record_is_refused(void **state)
{
	char path[] = "/tmp/test-record-XXXXXX";
	AUTO(close_p) int fd = mkstemp(path);
	AUTO(record_done) struct record read = RECORD_NONE;
	struct error err = {0};
	static const char damaged[] = "SESSION_ID=s1\0OWNER=a\0UID=12x";

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(record_read(&read, path, &err), -1); /* empty */
	assert_int_equal(write(fd, damaged, sizeof(damaged)), sizeof(damaged));
	assert_int_equal(record_read(&read, path, &err), -1);
	assert_non_null(strstr(err.message, "UID"));
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_can_be_read),
		cmocka_unit_test(a_damaged_record_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
