#include "broker-lite/session-list.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

static struct session_key key_of(const struct session *session)
{
	return (struct session_key){session->id, session->server ? session->server->id : ""};
}

static int compare_key(const void *item, const void *key)
{
	const struct session_key own = key_of(item), *other = key;
	int order = strcmp(own.id, other->id);

	return order ? order : strcmp(own.server_id, other->server_id);
}

void session_list_init(struct session_list *list, struct store *store)
{
	*list = (struct session_list){.by_id.compare = compare_key, .store = store};
}

void session_list_done(struct session_list *list)
{
	for (size_t i = 0; i < list->by_id.n; i++)
		session_free(list->by_id.items[i]);
	sorted_done(&list->by_id);
}

size_t session_list_position(const struct session_list *list, const char *id, const char *server_id)
{
	const struct session_key key = {id, server_id};

	return sorted_position(&list->by_id, &key);
}

struct session *session_list_find(const struct session_list *list, const char *id,
				  const char *server_id)
{
	const struct session_key key = {id, server_id};

	return sorted_find(&list->by_id, &key);
}

int session_list_add(struct session_list *list, struct session *session, struct server *server,
		     struct error *err)
{
	struct session_key key;

	session->server = server;
	key = key_of(session);
	if (sorted_insert(&list->by_id, &key, session, err) < 0) {
		session->server = NULL;
		return -1;
	}
	if (server)
		list_append(&server->sessions, &session->on_server);
	session_count(session, 1);
	return 0;
}

int session_list_bind(struct session_list *list, struct session *session, struct server *server,
		      struct error *err)
{
	struct session_key key = key_of(session);

	if (session->server == server)
		return 0;
	sorted_remove(&list->by_id, &key, session);
	session_count(session, -1);
	list_remove(&session->on_server);
	buf_done(&session->text);
	/* The place that was just given up is still there, so this cannot fail for memory. */
	return session_list_add(list, session, server, err);
}

static void unlink_session(struct session_list *list, struct session *session)
{
	struct session_key key = key_of(session);

	sorted_remove(&list->by_id, &key, session);
}

void session_list_forget(struct session_list *list, struct session *session)
{
	session->is_hidden = true;
	session->is_forgotten = true;
	if (session->n_pending > 0)
		return;
	unlink_session(list, session);
	session_free(session);
}

void session_list_release(struct session_list *list, struct session *session)
{
	if (--session->n_pending == 0 && session->is_forgotten)
		session_list_forget(list, session);
}

/* --- the store ---------------------------------------------------------------------------------
 */

struct loading {
	int (*fn)(struct session *session, const char *server_id, void *userdata,
		  struct error *err);
	void *userdata;
};

static int load_session(const char *id, const char *text, void *userdata, struct error *err)
{
	const struct loading *loading = userdata;
	json_auto_t *record = NULL;
	struct session *session;
	struct error unreadable;

	/* One record that cannot be read must not keep all the others from being served. It stays in
	 * the store, for whoever wants to look at it. */
	if (json_parse(text, strlen(text), &record, &unreadable) < 0 ||
	    session_from_record(record, &session, &unreadable) < 0) {
		log_error("session %s: its record is left out: %s", id, unreadable.message);
		return 0;
	}
	return loading->fn(session, json_get_text(record, "server"), loading->userdata, err);
}

int session_list_load(struct session_list *list,
		      int (*fn)(struct session *session, const char *server_id, void *userdata,
				struct error *err),
		      void *userdata, struct error *err)
{
	struct loading loading = {fn, userdata};

	return store_load(list->store, STORE_SESSION, load_session, &loading, err);
}

/* Ids that we made are unique; those of hosts are so together with the host. */
static char *record_id(const struct session *session, struct error *err)
{
	char *id = NULL;

	if (is_uuid(session->id) || !session->server)
		id = strdup(session->id);
	else if (asprintf(&id, "%s %s", session->id, session->server->id) < 0)
		id = NULL;
	if (!id)
		(void)error_oom(err);
	return id;
}

int session_list_put(struct session_list *list, struct session *session, store_done_fn done,
		     void *userdata, struct error *err)
{
	AUTO(free_p) char *id = record_id(session, err);
	json_auto_t *record = session_to_record(session);
	struct buf text = {0};

	if (!id || !record)
		return error_oom(err);
	if (json_append(&text, record, err) < 0 ||
	    store_put(list->store, STORE_SESSION, id, &text, done, userdata, err) < 0)
		return -1;
	session->is_stored = true;
	return 0;
}

void session_list_sync(struct session_list *list, struct session *session)
{
	bool must_outlive = session->request || session->is_delete_ordered ||
			    (session->state == DELETED && !session->is_hidden);
	AUTO(free_p) char *id = NULL;
	struct error err = {0};

	if (must_outlive) {
		if (session_list_put(list, session, NULL, NULL, &err) < 0)
			log_error("session %s: %s", session->id, err.message);
		return;
	}
	if (!session->is_stored)
		return;
	id = record_id(session, &err);
	if (!id || store_remove(list->store, STORE_SESSION, id, NULL, NULL, &err) < 0)
		log_error("session %s: %s", session->id, err.message);
	session->is_stored = false;
}

/* --- finding -----------------------------------------------------------------------------------
 */

struct session *session_list_find_owned(const struct session_list *list, const char *id,
					const char *owner, struct error *err)
{
	struct session *found = NULL;

	for (size_t i = session_list_position(list, id, ""); i < list->by_id.n; i++) {
		struct session *session = list->by_id.items[i];

		if (strcmp(session->id, id) != 0)
			break;
		if (session->is_hidden || session->state == DELETED ||
		    strcmp(session_owner(session), owner) != 0)
			continue;
		if (found) {
			(void)error_set(err, ERR_CONFLICT,
					"The owner has a session of this id on several servers");
			return NULL;
		}
		found = session;
	}
	if (!found)
		(void)error_set(err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SESSION);
	return found;
}

struct session *session_list_find_any(const struct session_list *list, const char *id)
{
	static const int liveliness[N_STATES] = {
		[READY] = 4, [UNKNOWN] = 3, [CREATING] = 2, [DELETING] = 1, [DELETED] = 0};
	struct session *found = NULL;

	for (size_t i = session_list_position(list, id, ""); i < list->by_id.n; i++) {
		struct session *session = list->by_id.items[i];

		if (strcmp(session->id, id) != 0)
			break;
		if (!session->is_hidden &&
		    (!found || liveliness[session->state] > liveliness[found->state]))
			found = session;
	}
	return found;
}

struct session *session_list_find_meant(const struct session_list *list, const char *id,
					const char *user, struct error *err)
{
	const struct session *liveliest = session_list_find_any(list, id);
	struct session *found = NULL, *owned = NULL;
	unsigned n_found = 0, n_owned = 0;

	if (!liveliest || liveliest->state == DELETED) {
		(void)error_set(err, ERR_NOT_FOUND, "no session %.150s", id);
		return NULL;
	}
	for (size_t i = session_list_position(list, id, ""); i < list->by_id.n; i++) {
		struct session *session = list->by_id.items[i];

		if (strcmp(session->id, id) != 0)
			break;
		if (session->is_hidden || session->state != liveliest->state)
			continue;
		n_found++;
		found = session;
		if (user && strcmp(session_owner(session), user) == 0) {
			n_owned++;
			owned = session;
		}
	}
	if (n_found == 1)
		return found;
	if (n_owned == 1)
		return owned;
	(void)error_set(err, ERR_CONFLICT, "Several servers have a session %.150s", id);
	return NULL;
}
