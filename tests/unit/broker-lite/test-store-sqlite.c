#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "broker-lite/store.h"

static int count(const char *id, const char *text, void *userdata, struct error *err)
{
	(void)err;
	assert_string_equal(id, "b");
	assert_string_equal(text, "{\"n\":2}");
	++*(int *)userdata;
	return 0;
}

static void note(const struct error *err, void *userdata)
{
	assert_null(err);
	++*(int *)userdata;
}

static void put(struct store *store, const char *id, const char *text, int *ret_done)
{
	struct buf buf = {0};
	struct error err;

	assert_int_equal(buf_append_text(&buf, text, &err), 0);
	assert_int_equal(store_put(store, STORE_SESSION, id, &buf, note, ret_done, &err), 0);
}

static void records_are_there_after_a_restart(void **state)
{
	char folder[] = "/tmp/test-store-XXXXXX", path[64], command[80];
	struct loop loop = {0};
	struct store *store;
	struct error err = {0};
	int n_done = 0, n = 0;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/broker.db", folder);
	assert_int_equal(loop_init(&loop, &err), 0);
	assert_int_equal(store_open(&store, &loop, path, &err), 0);
	put(store, "a", "{\"n\":1}", &n_done);
	put(store, "b", "{\"n\":1}", &n_done);
	put(store, "b", "{\"n\":2}", &n_done);
	assert_int_equal(n_done, 0); /* never before the call returns */
	assert_int_equal(store_remove(store, STORE_SESSION, "a", note, &n_done, &err), 0);
	assert_int_equal(store_flush(store, &err), 0);
	assert_int_equal(n_done, 4);
	store_free(store);
	assert_int_equal(store_open(&store, &loop, path, &err), 0);
	assert_int_equal(store_load(store, STORE_SESSION, count, &n, &err), 0);
	assert_int_equal(n, 1);
	store_free(store);
	loop_done(&loop);
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_there_after_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
