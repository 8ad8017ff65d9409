#include "broker-lite/audit-change.h"

#include <string.h>

#include "broker-lite/broker.h"
#include "broker-lite/command.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/requests.h"

/* --- operations of the API ---------------------------------------------------------------------
 */

static const char *server_of(const struct session *session)
{
	return session && session->server ? session->server->id : NULL;
}

static bool is_change(const struct operation *op)
{
	return !operation_only_reads(op) && op->id != OPERATION_get_session_connection_data;
}

void audit_element(const struct http_request *request, const void *fields, const struct buf *text,
		   const struct error *err, void *userdata)
{
	struct broker *broker = userdata;
	const struct http_note *note = &request->note;
	const struct session *session = NULL;
	json_auto_t *made = NULL;
	struct error ignored;
	struct audit_entry entry = {
		.who = AUDIT_CLIENT,
		.address = request->peer_address,
		.request_id = note->request_id,
		.has_failed = err != NULL,
		.reason = err ? err->message : NULL,
	};

	if (!note->operation || !is_change(note->operation))
		return;
	entry.what = note->operation->name;
	entry.client = note->caller == &broker->anybody ? NULL : note->caller;
	request_subject(note->operation, fields, &entry.session, &entry.server);
	/* A creation tells the id in its answer only. */
	if (note->operation->id == OPERATION_create_sessions && !err &&
	    json_parse(text->data, text->len, &made, &ignored) == 0)
		entry.session = json_get_text(made, "Id");
	if (entry.session)
		session = session_list_find_any(&broker->fleet.sessions, entry.session);
	if (session)
		entry.server = server_of(session);
	audit_add(&broker->audit, &entry);
}

/* --- commands ----------------------------------------------------------------------------------
 */

static bool command_only_reads(const char *name)
{
	return strncmp(name, "describe-", 9) == 0 || strncmp(name, "list-", 5) == 0 ||
	       strcmp(name, "metrics") == 0;
}

/* Of options and results alike; whatever else there is may be a secret. */
static const char *find_object(const json_t *members)
{
	static const char *const shown[] = {"client-id", "client-name", "url", "file-path"};

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		const char *value = json_get_text(members, shown[i]);

		if (value)
			return value;
	}
	return NULL;
}

/* A statement is a secret, but its id is not. */
static const char *find_statement(const struct broker *broker, const json_t *members)
{
	const char *text = json_get_text(members, "software-statement");
	const struct sorted *all = &broker->statements.by_id;

	for (size_t i = 0; text && i < all->n; i++) {
		const struct statement *statement = all->items[i];

		if (strcmp(statement->text, text) == 0)
			return statement->id;
	}
	return NULL;
}

void audit_command(const struct http_request *request, int status, const struct buf *body,
		   void *userdata)
{
	struct broker *broker = userdata;
	const struct command *command = command_find(request->path + (*request->path == '/'));
	json_auto_t *options = NULL, *reply = NULL;
	const json_t *result;
	struct error ignored;
	struct audit_entry entry = {
		.who = AUDIT_COMMAND, .uid = request->peer_uid, .has_failed = status != 200};

	if (!command || command_only_reads(command->name))
		return;
	if (request->body.data)
		(void)json_parse(request->body.data, request->body.len, &options, &ignored);
	if (body->data)
		(void)json_parse(body->data, body->len, &reply, &ignored);
	result = json_object_get(reply, "result");
	entry.what = command->name;
	entry.reason = request->note.failure;
	entry.object = find_object(result);
	if (!entry.object)
		entry.object = find_object(options);
	if (!entry.object)
		entry.object = find_statement(broker, json_is_object(result) ? result : options);
	audit_add(&broker->audit, &entry);
}

/* --- agents ------------------------------------------------------------------------------------
 */

void audit_registration(const struct http_request *request, int status, const struct buf *body,
			void *userdata)
{
	struct broker *broker = userdata;
	json_auto_t *reply = NULL;
	struct error ignored;
	struct audit_entry entry = {
		.what = "RegisterAgent", .who = AUDIT_AGENT, .address = request->peer_address};

	/* A refusal changes nothing, and everybody who reaches the port can have one. */
	if (status != 201 || json_parse(body->data, body->len, &reply, &ignored) < 0)
		return;
	entry.client =
		client_list_find(&broker->clients, CLIENT_AGENT, json_get_text(reply, "client_id"));
	audit_add(&broker->audit, &entry);
}

/* --- sessions ----------------------------------------------------------------------------------
 */

void audit_session(struct fleet *fleet, const struct session *session, const char *what,
		   const char *reason)
{
	const struct server *server = session->server;
	const struct audit_entry entry = {
		.what = what,
		.who = server && server->agent ? AUDIT_AGENT : AUDIT_BROKER,
		.client = server && server->agent ? server->client : NULL,
		.session = session->id,
		.server = server_of(session),
		.request_id = session->request_id,
		.reason = reason,
	};

	audit_add(fleet->audit, &entry);
}
