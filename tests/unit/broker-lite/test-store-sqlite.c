#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker-lite/store.h"
#include "tests/unit/unit.h"

struct fixture {
	char folder[64], path[96];
	struct loop loop;
	struct store *store;
	struct error err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->folder, sizeof(f->folder), "/tmp/test-store-XXXXXX");
	if (!mkdtemp(f->folder) || loop_init(&f->loop, &f->err) < 0)
		return -1;
	(void)snprintf(f->path, sizeof(f->path), "%s/broker.db", f->folder);
	*state = f;
	return store_open(&f->store, &f->loop, f->path, &f->err);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[96];
	int result;

	store_free(f->store);
	loop_done(&f->loop);
	(void)snprintf(command, sizeof(command), "rm -r %s", f->folder);
	result = system(command);
	free(f);
	return result;
}

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
	struct fixture *f = *state;
	int n_done = 0, n = 0;

	put(f->store, "a", "{\"n\":1}", &n_done);
	put(f->store, "b", "{\"n\":1}", &n_done);
	put(f->store, "b", "{\"n\":2}", &n_done);
	assert_int_equal(n_done, 0); /* never before the call returns */
	assert_int_equal(store_remove(f->store, STORE_SESSION, "a", note, &n_done, &f->err), 0);
	assert_int_equal(store_flush(f->store, &f->err), 0);
	assert_int_equal(n_done, 4);
	store_free(TAKE(f->store));
	assert_int_equal(store_open(&f->store, &f->loop, f->path, &f->err), 0);
	assert_int_equal(store_load(f->store, STORE_SESSION, count, &n, &f->err), 0);
	assert_int_equal(n, 1);
}

static void a_store_has_one_program(void **state)
{
	struct fixture *f = *state;
	struct store *second;
	struct error err;

	assert_fails(store_open(&second, &f->loop, f->path, &err), ERR_CONFLICT);
	assert_non_null(strstr(err.message, f->path));
	store_free(TAKE(f->store));
	assert_int_equal(store_open(&f->store, &f->loop, f->path, &err), 0);
	/* nor another one beside this, which found nothing to upgrade */
	assert_fails(store_open(&second, &f->loop, f->path, &err), ERR_CONFLICT);
}

static void a_store_of_a_newer_program_is_refused_and_left_as_it_is(void **state)
{
	struct fixture *f = *state;
	struct error err;
	sqlite3_stmt *statement;
	sqlite3 *db;

	store_free(TAKE(f->store));
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	assert_fails(store_open(&f->store, &f->loop, f->path, &err), ERR_CONFIG);
	assert_non_null(strstr(err.message, "newer broker (schema 99"));
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(statement, 0), 99);
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(db);
}

static void what_is_no_store_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error err;
	FILE *file;

	store_free(TAKE(f->store));
	file = fopen(f->path, "we");
	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		assert_true(fputs("this is not a database\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(store_open(&f->store, &f->loop, f->path, &err), -1);
	assert_non_null(strstr(err.message, "not a database"));
}

/* Who starts the broker again on a full disk wants to see at least what there is. */
static void a_store_is_read_where_nothing_can_be_written(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, none;
	int n_done = 0, n = 0, opened;

	put(f->store, "b", "{\"n\":2}", &n_done);
	assert_int_equal(store_flush(f->store, &f->err), 0);
	store_free(TAKE(f->store));
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){0, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	opened = store_open(&f->store, &f->loop, f->path, &f->err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(opened, 0);
	assert_int_equal(store_load(f->store, STORE_SESSION, count, &n, &f->err), 0);
	assert_int_equal(n, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(records_are_there_after_a_restart),
		TEST(a_store_has_one_program),
		TEST(a_store_of_a_newer_program_is_refused_and_left_as_it_is),
		TEST(what_is_no_store_is_refused),
		TEST(a_store_is_read_where_nothing_can_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
