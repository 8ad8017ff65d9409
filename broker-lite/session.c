#include "broker-lite/session.h"

#include <stdlib.h>
#include <string.h>

#include "broker-lite/placement.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"

static const char *const state_names[N_STATES] = {
	[CREATING] = "CREATING", [READY] = "READY",     [DELETING] = "DELETING",
	[DELETED] = "DELETED",   [UNKNOWN] = "UNKNOWN",
};

/* What the table lacks is refused. */
static const struct {
	bool is_allowed;
	enum session_state next;
} ways[N_STATES][N_EVENTS] = {
	[CREATING] = {[REPORTED_CREATING] = {true, CREATING},
		      [REPORTED_READY] = {true, READY},
		      [REPORTED_DELETING] = {true, DELETING},
		      [REPORTED_UNKNOWN] = {true, UNKNOWN},
		      [GONE] = {true, DELETED},
		      [ORDERED_AWAY] = {true, DELETING},
		      [PLACED_AGAIN] = {true, CREATING},
		      [LOST] = {true, UNKNOWN},
		      [OVERDUE] = {true, UNKNOWN}},
	[READY] = {[REPORTED_CREATING] = {true, CREATING},
		   [REPORTED_READY] = {true, READY},
		   [REPORTED_DELETING] = {true, DELETING},
		   [REPORTED_UNKNOWN] = {true, UNKNOWN},
		   [GONE] = {true, DELETED},
		   [ORDERED_AWAY] = {true, DELETING},
		   [LOST] = {true, UNKNOWN}},
	/* A host that has not heard of the order yet tells of the session as it was. */
	[DELETING] = {[REPORTED_CREATING] = {true, DELETING},
		      [REPORTED_READY] = {true, DELETING},
		      [REPORTED_DELETING] = {true, DELETING},
		      [REPORTED_UNKNOWN] = {true, UNKNOWN},
		      [GONE] = {true, DELETED},
		      [ORDERED_AWAY] = {true, DELETING},
		      [LOST] = {true, UNKNOWN},
		      [OVERDUE] = {true, UNKNOWN}},
	/* Somebody made one with the old id on the host: it is that session again, in whatever
	 * state the host says. */
	[DELETED] = {[REPORTED_CREATING] = {true, CREATING},
		     [REPORTED_READY] = {true, READY},
		     [REPORTED_DELETING] = {true, DELETING},
		     [REPORTED_UNKNOWN] = {true, UNKNOWN},
		     [GONE] = {true, DELETED}},
	[UNKNOWN] = {[REPORTED_CREATING] = {true, CREATING},
		     [REPORTED_READY] = {true, READY},
		     [REPORTED_DELETING] = {true, DELETING},
		     [REPORTED_UNKNOWN] = {true, UNKNOWN},
		     [GONE] = {true, DELETED},
		     [ORDERED_AWAY] = {true, DELETING},
		     [PLACED_AGAIN] = {true, CREATING},
		     [LOST] = {true, UNKNOWN}},
};

struct session *session_new(const char *id, json_t *attributes, struct error *err)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session) {
		json_decref(attributes);
		(void)error_oom(err);
		return NULL;
	}
	list_init(&session->on_server);
	list_init(&session->waiting);
	session->accepted_ms = time_now_ms();
	session->id = strdup(id);
	session->is_managed = is_uuid(id);
	session_set_attributes(session, attributes);
	if (!session->id || !attributes) {
		session_free(session);
		(void)error_oom(err);
		return NULL;
	}
	return session;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	session_count(session, -1);
	list_remove(&session->on_server);
	list_remove(&session->waiting);
	timer_free(session->timer);
	session_drop_request(session);
	json_decref(session->attributes);
	buf_done(&session->text);
	free(session->reason);
	free(session->id);
	free(session);
}

void session_drop_request(struct session *session)
{
	session->wish = placement_wish_free(session->wish);
	json_decref(TAKE(session->request));
	json_decref(TAKE(session->avoid));
}

void session_count(struct session *session, int delta)
{
	struct server *server = session->server;

	if (!server || session->state == DELETED)
		return;
	if (session->is_console)
		server->n_console += (unsigned)delta;
	else
		server->n_virtual += (unsigned)delta;
	if (session->is_managed && !session->is_console)
		server->n_managed += (unsigned)delta;
	server_touch(server);
}

int session_event(struct session *session, enum session_event event)
{
	enum session_state next;

	if (!ways[session->state][event].is_allowed)
		return -1;
	next = ways[session->state][event].next;
	if (session->is_delete_ordered && (next == CREATING || next == READY))
		next = DELETING;
	if (next == READY || next == DELETED)
		session->is_overdue = false;
	else if (session->is_overdue)
		next = UNKNOWN;
	if (next == session->state)
		return 0;
	session_count(session, -1);
	session->state = next;
	session_count(session, 1);
	buf_done(&session->text);
	return 0;
}

void session_set_reason(struct session *session, const char *reason)
{
	if (session->reason && reason && strcmp(session->reason, reason) == 0)
		return;
	free(session->reason);
	session->reason = reason && *reason ? strdup(reason) : NULL;
	buf_done(&session->text);
}

void session_set_attributes(struct session *session, json_t *attributes)
{
	const char *type = json_get_text(attributes, "Type");

	session_count(session, -1);
	json_decref(session->attributes);
	session->attributes = attributes;
	session->is_console = type && strcmp(type, "CONSOLE") == 0;
	session_count(session, 1);
	buf_done(&session->text);
}

const char *session_owner(const struct session *session)
{
	const char *owner = json_get_text(session->attributes, "Owner");

	return owner ? owner : "";
}

const char *session_state_name(enum session_state state)
{
	return state_names[state];
}

/* --- texts -------------------------------------------------------------------------------------
 */

static int render(struct session *session, struct error *err)
{
	json_auto_t *object = json_copy(session->attributes);

	if (!object)
		return error_oom(err);
	json_set_text(object, "State", state_names[session->state]);
	if (session->state == CREATING)
		json_set_text(object, "Substate",
			      session->is_confirmed ? "PENDING_PREPARATION" : "SESSION_PLACING");
	json_set_text(object, "StateReason", session->reason);
	if (json_append(&session->text, object, err) < 0)
		return -1;
	session->text.len--; /* the brace: the server may follow */
	return 0;
}

int session_append_text(struct session *session, struct buf *ret, struct error *err)
{
	const struct buf *server = NULL;

	if (session->text.len == 0 && render(session, err) < 0)
		return -1;
	if (session->server && session->server->report &&
	    (session->is_confirmed || session->state != CREATING))
		server = server_session_text(session->server);
	if (buf_append(ret, session->text.data, session->text.len, err) < 0)
		return -1;
	if (server && (buf_append_text(ret, ",\"Server\":", err) < 0 ||
		       buf_append(ret, server->data, server->len, err) < 0))
		return -1;
	return buf_append_text(ret, "}", err);
}

/* --- records -----------------------------------------------------------------------------------
 */

json_t *session_to_record(const struct session *session)
{
	json_t *record =
		json_pack("{s:s,s:O,s:b,s:b,s:b,s:i,s:I,s:I,s:I}", "id", session->id, "attributes",
			  session->attributes, "deleted", session->state == DELETED, "hidden",
			  session->is_hidden && session->is_delete_ordered, "delete",
			  session->is_delete_ordered, "failures", (int)session->n_failures,
			  "acceptedAt", (json_int_t)session->accepted_ms, "deletedAt",
			  (json_int_t)session->deleted_ms, "order", (json_int_t)session->order);

	json_set_text(record, "server", session->server ? session->server->id : NULL);
	json_set_text(record, "reason", session->reason);
	if (session->request)
		(void)json_object_set(record, "request", session->request);
	if (session->avoid)
		(void)json_object_set(record, "avoid", session->avoid);
	return record;
}

int session_from_record(const json_t *record, struct session **ret, struct error *err)
{
	const char *id = json_get_text(record, "id");
	json_t *attributes = json_object_get(record, "attributes");
	struct session *session;

	if (!id || !json_is_object(attributes))
		return error_set(err, ERR_INVALID, "the record is damaged");
	session = session_new(id, json_incref(attributes), err);
	if (!session)
		return -1;
	session->state = json_is_true(json_object_get(record, "deleted")) ? DELETED : CREATING;
	session->is_hidden = json_is_true(json_object_get(record, "hidden"));
	session->is_delete_ordered = json_is_true(json_object_get(record, "delete"));
	if (session->is_delete_ordered && session->state == CREATING)
		session->state = DELETING;
	session->n_failures = (unsigned)json_integer_value(json_object_get(record, "failures"));
	session->accepted_ms = json_integer_value(json_object_get(record, "acceptedAt"));
	session->deleted_ms = json_integer_value(json_object_get(record, "deletedAt"));
	session->order = (unsigned long long)json_integer_value(json_object_get(record, "order"));
	session->request = json_incref(json_object_get(record, "request"));
	session->avoid = json_incref(json_object_get(record, "avoid"));
	session_set_reason(session, json_get_text(record, "reason"));
	session->is_stored = true;
	*ret = session;
	return 0;
}
