/**
 * What must outlive the broker: records of a kind and an id, each a JSON text.
 *
 * Everything is read once at the start and lives in memory; from then on only changes come here.
 * They are committed in the order in which they were given, grouped, off the loop, and @done is
 * called on the loop after the commit: so an answer that waits for it promises nothing that a crash
 * could take back. This is the interface that another store would have to offer; store-sqlite.c is
 * the one behind it.
 */
#ifndef BROKER_STORE_H
#define BROKER_STORE_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/histogram.h"
#include "common/loop.h"

enum store_kind {
	STORE_CLIENT,      /* API and agent clients */
	STORE_STATEMENT,   /* software statements */
	STORE_KEY,         /* key pairs that sign tokens */
	STORE_AUTH_SERVER, /* external authorization servers */
	STORE_SERVER,      /* the fleet's closed marks */
	STORE_SESSION, /* sessions that no agent vouches for: accepted, to be deleted, deleted */
	STORE_DNS_MAPPINGS, /* names of servers, all in one record */
	STORE_JOIN_TOKEN,   /* tokens that let a host enrol itself, until they are used or expire */
	N_STORE_KINDS
};

struct store;

/** Open or make the store at @path. A store of a newer program is refused. */
int store_open(struct store **ret, struct loop *loop, const char *path, struct error *err);

/** After the loop has stopped. Takes NULL. */
void store_free(struct store *store);

typedef int (*store_record_fn)(const char *id, const char *text, void *userdata, struct error *err);

/** Every record of @kind. Blocks: for the start only. */
int store_load(struct store *store, enum store_kind kind, store_record_fn fn, void *userdata,
	       struct error *err);

/** @err: NULL, or why nothing was changed. */
typedef void (*store_done_fn)(const struct error *err, void *userdata);

/**
 * Write a record; @text is taken in every case. @done, which may be NULL, is called once, on a
 * later turn of the loop, if this returns 0.
 */
int store_put(struct store *store, enum store_kind kind, const char *id, struct buf *text,
	      store_done_fn done, void *userdata, struct error *err);

/** Remove a record, in the manner of store_put(); that there is none is no error. */
int store_remove(struct store *store, enum store_kind kind, const char *id, store_done_fn done,
		 void *userdata, struct error *err);

/** Wait until everything given so far is committed. Blocks: for the start only. */
int store_flush(struct store *store, struct error *err);

/** Since when nothing could be written, by loop_now_ms(); 0 while all is well. A full disk is not
 * counted: what is there can still be served. */
unsigned long long store_down_since_ms(const struct store *store);

/** How long commits took, from the beginning of the write to its end. */
const struct histogram *store_latency(const struct store *store);

/** On the disk. */
unsigned long long store_size_bytes(const struct store *store);

#endif
