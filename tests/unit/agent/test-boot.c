#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/boot.h"
#include "common/file.h"
#include "common/log.h"
#include "tests/unit/unit.h"

struct fixture {
	char folder[64], path[96];
};

static int set_up(void **state)
{
	static struct fixture f;

	log_set_level(LOG_LEVEL_ERROR);
	(void)snprintf(f.folder, sizeof(f.folder), "/tmp/test-boot-XXXXXX");
	if (!mkdtemp(f.folder))
		return -1;
	(void)snprintf(f.path, sizeof(f.path), "%s/boot", f.folder);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	(void)unlink(f->path);
	return rmdir(f->folder);
}

static void write_id(const struct fixture *f, const char *text)
{
	struct error err;

	assert_int_equal(file_write_atomic(f->path, text, strlen(text), 0600, &err), 0);
}

static void the_first_time_nothing_is_known(void **state)
{
	const struct fixture *f = *state;

	assert_false(boot_is_new(f->folder));
	assert_false(boot_is_new(f->folder));
}

static void another_id_is_told_once(void **state)
{
	const struct fixture *f = *state;

	write_id(f, "00000000-0000-4000-8000-000000000000 1");
	assert_true(boot_is_new(f->folder));
	assert_false(boot_is_new(f->folder));
}

static void the_same_kernel_may_start_another_host(void **state)
{
	const struct fixture *f = *state;
	char id[UUID_SIZE], text[UUID_SIZE + 8];

	boot_read_id(id);
	(void)snprintf(text, sizeof(text), "%s 1", id);
	write_id(f, text);
	assert_true(boot_is_new(f->folder));
	assert_false(boot_is_new(f->folder));
}

static void the_id_is_one(void **state)
{
	char id[UUID_SIZE];

	(void)state;
	boot_read_id(id);
	assert_true(is_uuid(id));
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(the_first_time_nothing_is_known),
		WITH_FOLDER(another_id_is_told_once),
		WITH_FOLDER(the_same_kernel_may_start_another_host),
		cmocka_unit_test(the_id_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
