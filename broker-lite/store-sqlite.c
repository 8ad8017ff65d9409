/* SQLite in WAL mode. One job at a time runs on libuv's pool with the changes that have gathered
 * while the one before was running, so a burst costs few commits and their order is kept. */
#include "broker-lite/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/list.h"
#include "common/log.h"

static const char *const kind_names[N_STORE_KINDS] = {
	[STORE_CLIENT] = "client",
	[STORE_STATEMENT] = "statement",
	[STORE_KEY] = "key",
	[STORE_AUTH_SERVER] = "auth-server",
	[STORE_SERVER] = "server",
	[STORE_SESSION] = "session",
	[STORE_DNS_MAPPINGS] = "dns-mappings",
	[STORE_JOIN_TOKEN] = "join-token",
};

struct change {
	struct list link; /* store::waiting or store::running */
	enum store_kind kind;
	char *id;
	struct buf text; /* data NULL: remove */
	store_done_fn done;
	void *userdata;
};

struct store {
	struct loop *loop;
	sqlite3 *db;
	sqlite3_stmt *put, *remove;
	struct list waiting;
	struct list running; /* the job's alone while is_running */
	bool is_running;
	bool is_full;
	struct error failure; /* of the job */
	uint64_t took_ns;     /* the job */
	struct histogram latency;
	unsigned long long down_since_ms;
};

static void change_free(struct change *change)
{
	free(change->id);
	buf_done(&change->text);
	free(change);
}

static int sql_error(const struct store *store, const char *what, struct error *err)
{
	enum error_code code = sqlite3_errcode(store->db) == SQLITE_NOMEM ? ERR_NO_MEMORY
									  : ERR_STORE;

	return error_set(err, code, "store: %s: %s", what, sqlite3_errmsg(store->db));
}

static int run(struct store *store, const char *sql, struct error *err)
{
	int result = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	if (result == SQLITE_OK)
		return 0;
	if (result == SQLITE_BUSY)
		return error_set(err, ERR_CONFLICT, "store: %s is in use by another program",
				 sqlite3_db_filename(store->db, NULL));
	return sql_error(store, "cannot write", err);
}

/* --- opening -----------------------------------------------------------------------------------
 */

static int read_version(struct store *store, int *ret, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int result = 0;

	if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL) !=
		    SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW)
		result = sql_error(store, "cannot read", err);
	else
		*ret = sqlite3_column_int(statement, 0);
	(void)sqlite3_finalize(statement);
	return result;
}

/* What makes version N + 1 of what is there, for N from 0, an empty file. */
static const char *const upgrades[] = {
	"CREATE TABLE record (kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,"
	" PRIMARY KEY (kind, id)) WITHOUT ROWID",
};
#define SCHEMA_VERSION ((int)ARRAY_SIZE(upgrades))

static int upgrade_from(struct store *store, int version, struct error *err)
{
	char set_version[64];

	if (version > SCHEMA_VERSION)
		return error_set(err, ERR_CONFIG,
				 "store: written by a newer broker (schema %d, ours is %d)",
				 version, SCHEMA_VERSION);
	if (version == SCHEMA_VERSION)
		return 0; /* nothing is written: the disk may be full */
	for (; version < SCHEMA_VERSION; version++) {
		if (run(store, upgrades[version], err) < 0)
			return error_prefix(err, "upgrade to schema %d", version + 1);
	}
	(void)snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %d",
		       SCHEMA_VERSION);
	return run(store, set_version, err);
}

/* All or nothing, and by one program alone: the version is read under the lock. */
static int upgrade(struct store *store, struct error *err)
{
	int version = 0;

	if (run(store, "BEGIN EXCLUSIVE", err) < 0)
		return -1;
	if (read_version(store, &version, err) == 0 && upgrade_from(store, version, err) == 0)
		return run(store, "COMMIT", err);
	(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

static int prepare(struct store *store, struct error *err)
{
	if (sqlite3_prepare_v3(store->db, "INSERT OR REPLACE INTO record VALUES (?, ?, ?)", -1,
			       SQLITE_PREPARE_PERSISTENT, &store->put, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v3(store->db, "DELETE FROM record WHERE kind = ? AND id = ?", -1,
			       SQLITE_PREPARE_PERSISTENT, &store->remove, NULL) != SQLITE_OK)
		return sql_error(store, "cannot read", err);
	return 0;
}

int store_open(struct store **ret, struct loop *loop, const char *path, struct error *err)
{
	struct store *store = calloc(1, sizeof(*store));
	mode_t mask;
	int opened;

	if (!store)
		return error_oom(err);
	store->loop = loop;
	list_init(&store->waiting);
	list_init(&store->running);
	store->latency.bounds = &histogram_of_requests;
	mask = umask(0077);
	opened =
		sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	if (opened != SQLITE_OK)
		(void)error_set(err, ERR_SYSTEM, "store: open %s: %s", path,
				sqlite3_errstr(opened));
	/* Two brokers on one file would each know half of what it says, so the first one keeps it. The
	 * cache and the log stay small: records are small and read only once. */
	if (opened != SQLITE_OK ||
	    run(store,
		"PRAGMA locking_mode = EXCLUSIVE; PRAGMA busy_timeout = 2000;"
		"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		"PRAGMA cache_size = -256; PRAGMA wal_autocheckpoint = 200",
		err) < 0 ||
	    upgrade(store, err) < 0 || prepare(store, err) < 0) {
		(void)umask(mask);
		store_free(store);
		return -1;
	}
	(void)umask(mask);
	*ret = store;
	return 0;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	list_for_each_safe (change, &store->waiting, struct change, link)
		change_free(change);
	(void)sqlite3_finalize(store->put);
	(void)sqlite3_finalize(store->remove);
	(void)sqlite3_close(store->db);
	free(store);
}

int store_load(struct store *store, enum store_kind kind, store_record_fn fn, void *userdata,
	       struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int step = SQLITE_ERROR, result = 0;

	if (sqlite3_prepare_v2(store->db, "SELECT id, body FROM record WHERE kind = ? ORDER BY id",
			       -1, &statement, NULL) != SQLITE_OK)
		return sql_error(store, "cannot read", err);
	(void)sqlite3_bind_text(statement, 1, kind_names[kind], -1, SQLITE_STATIC);
	while (result == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW)
		result = fn((const char *)sqlite3_column_text(statement, 0),
			    (const char *)sqlite3_column_text(statement, 1), userdata, err);
	if (result == 0 && step != SQLITE_DONE)
		result = sql_error(store, "cannot read", err);
	(void)sqlite3_finalize(statement);
	return result;
}

/* --- writing -----------------------------------------------------------------------------------
 */

static int apply(struct store *store, const struct change *change, struct error *err)
{
	sqlite3_stmt *statement = change->text.data ? store->put : store->remove;
	int step;

	(void)sqlite3_bind_text(statement, 1, kind_names[change->kind], -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 2, change->id, -1, SQLITE_STATIC);
	if (change->text.data)
		(void)sqlite3_bind_text(statement, 3, change->text.data, (int)change->text.len,
					SQLITE_STATIC);
	step = sqlite3_step(statement);
	if (step != SQLITE_DONE)
		(void)sql_error(store, "cannot write", err);
	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	return step == SQLITE_DONE ? 0 : -1;
}

static int apply_all(struct store *store, struct error *err)
{
	if (run(store, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	list_for_each (change, &store->running, struct change, link) {
		if (apply(store, change, err) < 0)
			return -1;
	}
	return run(store, "COMMIT", err);
}

static void work(void *userdata)
{
	struct store *store = userdata;
	uint64_t began_ns = uv_hrtime();
	int result;

	store->failure = (struct error){0};
	store->is_full = false;
	result = apply_all(store, &store->failure);
	store->took_ns = uv_hrtime() - began_ns;
	if (result == 0)
		return;
	store->is_full = sqlite3_errcode(store->db) == SQLITE_FULL;
	if (!sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

static void start_job(struct store *store);

static void tell(struct store *store, struct list *changes)
{
	const struct error *err = store->failure.code == ERR_NONE ? NULL : &store->failure;

	list_for_each_safe (change, changes, struct change, link) {
		list_remove(&change->link);
		if (change->done)
			change->done(err, change->userdata);
		change_free(change);
	}
}

static void done(void *userdata)
{
	struct store *store = userdata;
	struct list finished;

	histogram_add(&store->latency, (double)store->took_ns / 1e9);
	list_init(&finished);
	list_for_each_safe (change, &store->running, struct change, link) {
		list_remove(&change->link);
		list_append(&finished, &change->link);
	}
	if (store->failure.code == ERR_NONE || store->is_full)
		store->down_since_ms = 0;
	else if (store->down_since_ms == 0)
		store->down_since_ms = loop_now_ms(store->loop);
	if (store->failure.code != ERR_NONE)
		log_error("%s", store->failure.message);
	tell(store, &finished);
	store->is_running = false;
	start_job(store);
}

static void start_job(struct store *store)
{
	struct error err;

	if (store->is_running || list_is_empty(&store->waiting))
		return;
	list_for_each_safe (change, &store->waiting, struct change, link) {
		list_remove(&change->link);
		list_append(&store->running, &change->link);
	}
	store->is_running = true;
	if (loop_work(store->loop, work, done, store, &err) < 0) {
		work(store); /* no thread: rather late than never */
		done(store);
	}
}

static int add(struct store *store, enum store_kind kind, const char *id, struct buf *text,
	       store_done_fn fn, void *userdata, struct error *err)
{
	struct change *change = calloc(1, sizeof(*change));

	if (!change)
		return error_oom(err);
	change->kind = kind;
	change->done = fn;
	change->userdata = userdata;
	change->id = strdup(id);
	if (!change->id) {
		change_free(change);
		return error_oom(err);
	}
	if (text)
		change->text = *text;
	if (text)
		*text = (struct buf){0};
	list_append(&store->waiting, &change->link);
	start_job(store);
	return 0;
}

int store_put(struct store *store, enum store_kind kind, const char *id, struct buf *text,
	      store_done_fn fn, void *userdata, struct error *err)
{
	int result = text->data ? add(store, kind, id, text, fn, userdata, err) : error_oom(err);

	buf_done(text);
	return result;
}

int store_remove(struct store *store, enum store_kind kind, const char *id, store_done_fn fn,
		 void *userdata, struct error *err)
{
	return add(store, kind, id, NULL, fn, userdata, err);
}

int store_flush(struct store *store, struct error *err)
{
	while (store->is_running || !list_is_empty(&store->waiting))
		(void)uv_run(&store->loop->uv, UV_RUN_ONCE);
	if (store->failure.code == ERR_NONE)
		return 0;
	*err = store->failure;
	return -1;
}

unsigned long long store_down_since_ms(const struct store *store)
{
	return store->down_since_ms;
}

const struct histogram *store_latency(const struct store *store)
{
	return &store->latency;
}

unsigned long long store_size_bytes(const struct store *store)
{
	const char *path = sqlite3_db_filename(store->db, "main");
	AUTO(free_p) char *log = NULL;
	unsigned long long size = 0;
	struct stat st;

	if (stat(path, &st) == 0)
		size += (unsigned long long)st.st_size;
	if (asprintf(&log, "%s-wal", path) < 0)
		log = NULL;
	else if (stat(log, &st) == 0)
		size += (unsigned long long)st.st_size;
	return size;
}
