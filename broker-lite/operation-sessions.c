/* The operations on sessions. */
#include <stdlib.h>
#include <string.h>

#include "broker-lite/broker.h"
#include "broker-lite/operation.h"
#include "broker-lite/screenshot-reply.h"
#include "broker-lite/wanted.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/log.h"
#include "common/page.h"
#include "common/permissions.h"
#include "common/requests.h"

void operation_create_sessions(struct broker *broker, const void *fields, struct answer *answer)
{
	creation_begin(&broker->fleet.creation, fields, answer);
}

/* --- DescribeSessions --------------------------------------------------------------------------
 */

static bool passes(const struct session *session, const json_t *filters)
{
	for (size_t i = 0; i < json_array_size(filters); i++) {
		const json_t *filter = json_array_get(filters, i);
		const char *key = json_get_text(filter, "Key");
		const char *wanted = json_get_text(filter, "Value");
		const char *value = NULL;

		if (strcmp(key, "owner") == 0)
			value = session_owner(session);
		else if (session->server && session->is_confirmed)
			value = server_tag(session->server, key + strlen(FILTER_TAG));
		if (!value || strcmp(value, wanted) != 0)
			return false;
	}
	return true;
}

static const char *server_id_of(const struct session *session)
{
	return session->server ? session->server->id : "";
}

static int append_sessions(struct session_list *list,
			   const struct describe_sessions_request *request,
			   const struct wanted *wanted, size_t at, struct buf *text,
			   struct error *err)
{
	size_t left = request->max_results > 0 ? (size_t)request->max_results : RESULTS_MAX;
	const struct session *last = NULL;

	for (; at < list->by_id.n; at++) {
		struct session *session = list->by_id.items[at];

		if (session->is_hidden || !wanted_has(wanted, session->id) ||
		    !passes(session, request->filters))
			continue;
		if (left-- == 0) {
			if (buf_append_text(text, "],\"NextToken\":\"", err) < 0 ||
			    page_token_append(PAGE_OF_SESSIONS, last->id, server_id_of(last), text,
					      err) < 0)
				return -1;
			return buf_append_text(text, "\"}", err);
		}
		if ((last && buf_append_text(text, ",", err) < 0) ||
		    session_append_text(session, text, err) < 0)
			return -1;
		last = session;
	}
	return buf_append_text(text, "]}", err);
}

/* What we made keeps its id when it gets a server, or another one, between two pages. */
static size_t position_after(const struct session_list *list, const struct page_mark *mark)
{
	size_t at = session_list_position(list, mark->id, is_uuid(mark->id) ? "" : mark->server_id);

	for (; at < list->by_id.n; at++) {
		const struct session *session = list->by_id.items[at];

		if (strcmp(session->id, mark->id) != 0 ||
		    (!is_uuid(mark->id) && strcmp(server_id_of(session), mark->server_id) != 0))
			break;
	}
	return at;
}

void operation_describe_sessions(struct broker *broker, const void *fields, struct answer *answer)
{
	const struct describe_sessions_request *request = fields;
	struct session_list *list = &broker->fleet.sessions;
	struct page_mark mark = {0};
	AUTO(wanted_done) struct wanted wanted = {0};
	AUTO(buf_done) struct buf text = {0};
	struct error err = {0};
	size_t at = 0;

	if ((!request->next_token ||
	     page_token_read(PAGE_OF_SESSIONS, request->next_token, &mark, &err) == 0) &&
	    wanted_init(&wanted, request->session_ids, &err) == 0) {
		if (mark.id)
			at = position_after(list, &mark);
		if (buf_append_text(&text, "{\"Sessions\":[", &err) == 0)
			(void)append_sessions(list, request, &wanted, at, &text, &err);
	}
	page_mark_done(&mark);
	if (err.code == ERR_NONE)
		answer_succeed(answer, &text);
	else
		answer_fail(answer, &err);
}

/* --- DeleteSessions ----------------------------------------------------------------------------
 */

struct deletion {
	struct fleet *fleet;
	struct session *session;
	struct answer *answer;
	bool is_unreachable;
};

static void carry_out_deletion(const struct deletion *deletion)
{
	struct session *session = deletion->session;

	if (session->state == DELETED)
		return; /* it went by itself meanwhile */
	fleet_event(deletion->fleet, session, ORDERED_AWAY);
	if (deletion->is_unreachable) {
		/* Forgotten here; the order waits for the host to come back. */
		session->is_hidden = true;
		session_list_sync(&deletion->fleet->sessions, session);
	} else if (!session->server || list_is_empty(&session->on_server)) {
		fleet_session_gone(deletion->fleet, session, NULL);
	} else if (!session->is_create_pending) {
		/* else the order follows the creation */
		fleet_send_delete(deletion->fleet, session->server, session);
	}
}

static void on_deletion_stored(const struct error *err, void *userdata)
{
	AUTO(free_p) struct deletion *deletion = userdata;
	struct session *session = deletion->session;

	if (err) {
		if (session->state != DELETING)
			session->is_delete_ordered = false;
		answer_fail(deletion->answer, err);
	} else {
		answer_succeed_json(deletion->answer, json_pack("{s:s,s:s}", "SessionId",
								session->id, "State", "DELETING"));
		carry_out_deletion(deletion);
	}
	session_list_release(&deletion->fleet->sessions, session);
}

static int begin_deletion(struct fleet *fleet, struct session *session, bool is_unreachable,
			  struct answer *answer, struct error *err)
{
	bool was_ordered = session->is_delete_ordered;
	bool was_hidden = session->is_hidden;
	struct deletion *deletion = malloc(sizeof(*deletion));
	int result;

	if (!deletion)
		return error_oom(err);
	*deletion = (struct deletion){fleet, session, answer, is_unreachable};
	session->is_delete_ordered = true;
	session->is_hidden = is_unreachable; /* for the record */
	session->n_pending++;
	result = session_list_put(&fleet->sessions, session, on_deletion_stored, deletion, err);
	session->is_hidden = was_hidden;
	if (result == 0)
		return 0;
	session->is_delete_ordered = was_ordered;
	session->n_pending--;
	free(deletion);
	return -1;
}

void operation_delete_sessions(struct broker *broker, const void *fields, struct answer *answer)
{
	struct fleet *fleet = &broker->fleet;
	const struct delete_session_request *request = fields;
	struct error err = {0};
	struct session *session = session_list_find_owned(&fleet->sessions, request->session_id,
							  request->owner, &err);
	bool is_unreachable = false;

	if (session) {
		is_unreachable = session->server && !session->server->agent &&
				 session->server->is_lost;
		if ((is_unreachable || session->state == UNKNOWN) && !request->force)
			(void)error_set(&err, ERR_CONFLICT, FAILURE_UNREACHABLE_USE_FORCE);
	}
	if (err.code != ERR_NONE ||
	    begin_deletion(fleet, session, is_unreachable, answer, &err) < 0)
		answer_fail(answer, &err);
}

/* --- UpdateSessionPermissions ------------------------------------------------------------------
 */

struct relaying {
	struct answer *answer;
	char id[]; /* of the session */
};

static struct relaying *relaying_new(struct answer *answer, const char *id, struct error *err)
{
	struct relaying *relaying = malloc(sizeof(*relaying) + strlen(id) + 1);

	if (!relaying) {
		(void)error_oom(err);
		return NULL;
	}
	relaying->answer = answer;
	(void)strcpy(relaying->id, id);
	return relaying;
}

static void on_permissions_set(const char *body, size_t len, const struct error *err,
			       void *userdata)
{
	AUTO(free_p) struct relaying *relaying = userdata;
	AUTO(buf_done) struct buf text = {0};
	struct error own;

	(void)body;
	(void)len;
	if (!err && (buf_append_text(&text, "{\"SessionId\":", &own) < 0 ||
		     json_append_string(&text, relaying->id, &own) < 0 ||
		     buf_append(&text, "}", 1, &own) < 0))
		err = &own;
	if (err)
		answer_fail(relaying->answer, err);
	else
		answer_succeed(relaying->answer, &text);
}

static int check_permissions(const char *text, struct error *err)
{
	AUTO(buf_done) struct buf decoded = {0};

	return permissions_decode(text, &decoded, err);
}

static void on_permissions_stored(const struct error *err, void *userdata)
{
	on_permissions_set(NULL, 0, err, userdata);
}

/* Not placed yet: the creation is to use the new file. */
static int replace_stored_permissions(struct fleet *fleet, struct session *session,
				      const char *permissions, struct answer *answer,
				      struct error *err)
{
	AUTO(free_p) struct relaying *relaying = relaying_new(answer, session->id, err);
	json_t *before = session->request;

	if (!relaying)
		return -1;
	session->request = json_copy(before); /* shares its strings, which session->wish borrows */
	(void)json_object_del(session->request, "PermissionFile");
	json_set_text(session->request, "PermissionsFile", permissions);
	if (session_list_put(&fleet->sessions, session, on_permissions_stored, relaying, err) < 0) {
		json_decref(session->request);
		session->request = before;
		return -1;
	}
	json_decref(before);
	(void)TAKE(relaying);
	return 0;
}

/* Pass on what was asked, as it came. @command: all but its body and who waits for the reply. */
static int relay_for(struct broker *broker, const struct session *session,
		     struct relay_command *command, struct answer *answer, struct error *err)
{
	AUTO(free_p) struct relaying *relaying = relaying_new(answer, session->id, err);

	command->context.session_id = session->id;
	command->context.request_id = answer_request_id(answer);
	command->body = answer_asked_text(answer, &command->body_len, err);
	command->userdata = relaying;
	if (!relaying || !command->body ||
	    relay_send(&broker->fleet.relay, session->server ? session->server->agent : NULL,
		       command, err) < 0)
		return -1;
	(void)TAKE(relaying);
	return 0;
}

static int update_permissions(struct broker *broker, struct session *session,
			      const char *permissions, struct answer *answer, struct error *err)
{
	struct relay_command command = {.operation = OPERATION_update_session_permissions,
					.fn = on_permissions_set};

	if (session->state == CREATING && !session->server && session->request)
		return replace_stored_permissions(&broker->fleet, session, permissions, answer,
						  err);
	return relay_for(broker, session, &command, answer, err);
}

void operation_update_session_permissions(struct broker *broker, const void *fields,
					  struct answer *answer)
{
	const struct update_session_permissions_request *request = fields;
	struct error err = {0};
	struct session *session = NULL;

	if (check_permissions(request->permissions_file, &err) == 0)
		session = session_list_find_owned(&broker->fleet.sessions, request->session_id,
						  request->owner, &err);
	if (!session ||
	    update_permissions(broker, session, request->permissions_file, answer, &err) < 0)
		answer_fail(answer, &err);
}

/* --- GetSessionConnectionData ------------------------------------------------------------------
 */

static int append_connection_data(struct broker *broker, struct session *session, const char *user,
				  struct buf *text, struct error *err)
{
	if (buf_append_text(text, "{\"Session\":", err) < 0 ||
	    session_append_text(session, text, err) < 0 ||
	    buf_append_text(text, ",\"ConnectionToken\":\"", err) < 0 ||
	    connection_token_append(&broker->connections, session, user, text, err) < 0)
		return -1;
	return buf_append_text(text, "\"}", err);
}

void operation_get_session_connection_data(struct broker *broker, const void *fields,
					   struct answer *answer)
{
	const struct get_session_connection_data_request *request = fields;
	struct session *session = NULL;
	AUTO(buf_done) struct buf text = {0};
	struct error err = {0};

	session = session_list_find_meant(&broker->fleet.sessions, request->session_id,
					  request->user, &err);
	if (err.code == ERR_NOT_FOUND)
		(void)error_set(&err, ERR_INVALID, "Session not found: %.150s",
				request->session_id);
	else if (!session)
		err.code = ERR_INVALID; /* the one status for whatever is wrong with the session */
	else if (session->state != READY && session->state != UNKNOWN)
		(void)error_set(&err, ERR_INVALID,
				"Session %.150s is neither in READY nor in UNKNOWN state",
				request->session_id);
	else
		(void)append_connection_data(broker, session, request->user, &text, &err);
	if (err.code == ERR_NONE)
		answer_succeed(answer, &text);
	else
		answer_fail(answer, &err);
}

/* --- GetSessionScreenshots ---------------------------------------------------------------------
 */

/* The images are passed on as the bytes that came. */
static void on_screenshot(const char *body, size_t len, const struct error *err, void *userdata)
{
	AUTO(free_p) struct relaying *relaying = userdata;
	AUTO(buf_done) struct buf text = {0};
	struct error own;

	if (!err && screenshot_reply_append(relaying->id, body, len, &text, &own) < 0) {
		log_warning("session %s: %s", relaying->id, own.message);
		err = &own;
	}
	if (err)
		answer_fail(relaying->answer, err);
	else
		answer_succeed(relaying->answer, &text);
}

void operation_get_session_screenshots(struct broker *broker, const void *fields,
				       struct answer *answer)
{
	const struct broker_config *config = &broker->config;
	const struct get_session_screenshot_request *request = fields;
	struct relay_command command = {
		.operation = OPERATION_get_session_screenshots,
		.context = {.max_width = config->screenshot_max_width,
			    .max_height = config->screenshot_max_height,
			    .format = config->screenshot_format},
		.fn = on_screenshot,
	};
	struct error err = {0};
	struct session *session =
		session_list_find_meant(&broker->fleet.sessions, request->session_id, NULL, &err);

	if (err.code == ERR_NOT_FOUND)
		(void)error_set(&err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SESSION_SCREENSHOT);
	else if (session && session->state == UNKNOWN)
		(void)error_set(&err, ERR_UNREACHABLE, FAILURE_NO_ANSWER);
	else if (session && session->state != READY)
		(void)error_set(&err, ERR_CONFLICT, FAILURE_NOT_READY_SCREENSHOT);
	if (err.code != ERR_NONE || relay_for(broker, session, &command, answer, &err) < 0)
		answer_fail(answer, &err);
}
