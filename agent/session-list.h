/**
 * All sessions of this host, with a record of each on disk, so that an agent that starts again
 * knows what the running ones were asked to be.
 *
 * A record is written before a session is begun: a disk that is full refuses new sessions and
 * leaves the others alone. Sessions that have ended are kept for SESSION_LIST_KEEP_MS, so that
 * people and brokers can see why.
 */
#ifndef AGENT_SESSION_LIST_H
#define AGENT_SESSION_LIST_H

#include "agent/caller.h"
#include "agent/config.h"
#include "agent/session.h"
#include "common/loop.h"

#define SESSION_LIST_KEEP_MS (3600LL * 1000)

struct session_list_handler {
	/** Something that others can see has changed. */
	void (*changed)(void *userdata);
	/** A session's deadline has passed. Whoever acts sets a new one by session_list_apply(). */
	void (*expired)(struct session *session, void *userdata);
	void *userdata;
};

struct session_list {
	struct list sessions; /* struct session::link */
	char *folder;         /* STATE_DIR/sessions */
	struct loop *loop;
	const struct agent_config *config;
	struct timer *timer; /* the earliest of all deadlines */
	struct session_list_handler handler;
};

struct session_counts {
	long long n_console, n_virtual; /* being created and being deleted count */
	/* Virtual ones that were made through us, which the limits are for. */
	long long n_managed;
	long long n_owner; /* of one owner */
};

/** Read the records below @state_folder. One that cannot be read is told in the log and set aside.
 */
int session_list_init(struct session_list *list, struct loop *loop,
		      const struct agent_config *config, const char *state_folder,
		      const struct session_list_handler *handler, struct error *err);
void session_list_done(struct session_list *list);

/** May @id name a session? 1 to 128 of [A-Za-z0-9._-], not beginning with '.' or '-'. */
bool session_list_is_id(const char *id);

/** Take @session in, with a record. ERR_LIMIT: the host or the owner has as many as allowed. */
int session_list_add(struct session_list *list, struct session *session, struct error *err);

/**
 * ERR_LIMIT: its owner, under other names, had as many sessions as allowed before this one was begun,
 * which shows only when it is known whose account it is.
 */
int session_list_check_account(const struct session_list *list, const struct session *session,
			       struct error *err);

/**
 * Take in a session that lives already. It counts, but no limit refuses it; without a record, if
 * the disk does not take one.
 */
void session_list_adopt(struct session_list *list, struct session *session);

/** Forget it, and its record. */
void session_list_remove(struct session_list *list, struct session *session);

/** NULL if there is none. */
struct session *session_list_find(const struct session_list *list, const char *id);

/** The same, but the sessions of others do not exist. */
struct session *session_list_find_for(const struct session_list *list, const struct caller *caller,
				      const char *id);

/** It does not wait any more: the time that its creation may take begins. */
void session_list_note_start(struct session_list *list, struct session *session);

/** session_apply() with what follows from it: record, deadline, notice. */
int session_list_apply(struct session_list *list, struct session *session, enum session_event event,
		       const char *reason, struct error *err);

/** Write the record anew after a field has changed. */
int session_list_save(const struct session_list *list, const struct session *session,
		      struct error *err);

/** Count; @owner may be NULL. */
struct session_counts session_list_count(const struct session_list *list, const char *owner);

#endif
