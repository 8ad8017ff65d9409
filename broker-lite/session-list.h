/**
 * The sessions of the fleet, by id and then by server: two hosts may both have one called
 * "console".
 */
#ifndef BROKER_SESSION_LIST_H
#define BROKER_SESSION_LIST_H

#include "broker-lite/session.h"
#include "broker-lite/sorted.h"
#include "broker-lite/store.h"

struct session_list {
	struct sorted by_id;
	struct store *store;
};

/** Where a session stands in the order. */
struct session_key {
	const char *id;
	const char *server_id; /* "" while it is not placed */
};

void session_list_init(struct session_list *list, struct store *store);
void session_list_done(struct session_list *list);

/** Call @fn for every session in the store, which takes it. */
int session_list_load(struct session_list *list,
		      int (*fn)(struct session *session, const char *server_id, void *userdata,
				struct error *err),
		      void *userdata, struct error *err);

struct session *session_list_find(const struct session_list *list, const char *id,
				  const char *server_id);

/** Index of the first session of this id, or of what comes after it. */
size_t session_list_position(const struct session_list *list, const char *id,
			     const char *server_id);

/** The list owns @session, which becomes bound to @server (NULL: none). */
int session_list_add(struct session_list *list, struct session *session, struct server *server,
		     struct error *err);

/** Bind @session to another server, or to none. */
int session_list_bind(struct session_list *list, struct session *session, struct server *server,
		      struct error *err);

/** Free @session, now or when the last callback that has it has come. Not its record. */
void session_list_forget(struct session_list *list, struct session *session);

/** A callback has let go of @session. */
void session_list_release(struct session_list *list, struct session *session);

/** Write the record of @session; @done as for store_put(). */
int session_list_put(struct session_list *list, struct session *session, store_done_fn done,
		     void *userdata, struct error *err);

/** See that the store has a record of @session exactly while it must outlive us. A failure is
 * logged; the agents' reports mend it after a restart. */
void session_list_sync(struct session_list *list, struct session *session);

/**
 * The session of @owner that a request on @id means. ERR_NOT_FOUND with the API's sentence, also
 * for somebody else's, so that ids cannot be probed; ERR_CONFLICT if two hosts have one.
 */
struct session *session_list_find_owned(const struct session_list *list, const char *id,
					const char *owner, struct error *err);

/** The session of this id whoever owns it, the liveliest if there are several; NULL: none. */
struct session *session_list_find_any(const struct session_list *list, const char *id);

/**
 * The session that a request on @id means which names no owner: where several hosts have one, the
 * liveliest, and of several that are equally so that of @user (NULL: nobody). ERR_NOT_FOUND none
 * but deleted ones, ERR_CONFLICT still several: one user is never shown the screen of another.
 */
struct session *session_list_find_meant(const struct session_list *list, const char *id,
					const char *user, struct error *err);

#endif
