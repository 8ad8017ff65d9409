#include "agent/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/permissions.h"
#include "common/text.h"

static const char *const state_names[N_SESSION_STATES] = {
	[SESSION_CREATING] = "CREATING",
	[SESSION_READY] = "READY",
	[SESSION_DELETING] = "DELETING",
	[SESSION_DELETED] = "DELETED",
};

static const char *const event_names[N_SESSION_EVENTS] = {
	[SESSION_EVENT_FOUND] = "be found",
	[SESSION_EVENT_READY] = "become ready",
	[SESSION_EVENT_ENDED] = "have ended",
	[SESSION_EVENT_END] = "end",
};

#define NO (-1)
#define TIME_MAX_MS 253402300799999LL /* the end of the year 9999 */

/* The life of a session. A session that is told to end again stays DELETING: the order is repeated
 * to the engine, because the first one may have been lost with a keeper. One that was taken for
 * ended and is found alive begins anew: whether it is ready is told next. */
static const int next_state[N_SESSION_STATES][N_SESSION_EVENTS] = {
	[SESSION_CREATING] = {[SESSION_EVENT_FOUND] = SESSION_CREATING,
			      [SESSION_EVENT_READY] = SESSION_READY,
			      [SESSION_EVENT_ENDED] = SESSION_DELETED,
			      [SESSION_EVENT_END] = SESSION_DELETING},
	[SESSION_READY] = {[SESSION_EVENT_FOUND] = SESSION_READY,
			   [SESSION_EVENT_READY] = SESSION_READY,
			   [SESSION_EVENT_ENDED] = SESSION_DELETED,
			   [SESSION_EVENT_END] = SESSION_DELETING},
	[SESSION_DELETING] = {[SESSION_EVENT_FOUND] = SESSION_DELETING,
			      [SESSION_EVENT_READY] = SESSION_DELETING, /* it crossed our order */
			      [SESSION_EVENT_ENDED] = SESSION_DELETED,
			      [SESSION_EVENT_END] = SESSION_DELETING},
	[SESSION_DELETED] = {[SESSION_EVENT_FOUND] = SESSION_CREATING,
			     [SESSION_EVENT_READY] = NO,
			     [SESSION_EVENT_ENDED] = NO,
			     [SESSION_EVENT_END] = NO},
};

static void session_free_p(struct session **session)
{
	session_free(*session);
}

void session_free(struct session *session)
{
	if (!session)
		return;
	list_remove(&session->link);
	free(session->id);
	free(session->name);
	free(session->owner);
	free(session->account);
	free(session->init_file);
	free(session->autorun_file);
	json_decref(session->autorun_arguments);
	free(session->permissions);
	permissions_free(session->rights);
	free(session->storage_root);
	free(session->state_reason);
	free(session->init_status);
	free(session->autorun_status);
	json_decref(session->log);
	free(session);
}

/* Copy a text that may be absent; false when memory ran out. */
static bool copy(char **ret, const char *text)
{
	*ret = text ? strdup(text) : NULL;
	return *ret || !text;
}

struct session *session_new(const char *id, const struct create_session_request *request,
			    long long creation_time_ms, struct error *err)
{
	AUTO(session_free_p) struct session *s = calloc(1, sizeof(*s));
	const char *init_file = request->init_file ? request->init_file : request->init_file_path;

	if (!s || !copy(&s->id, id) || !copy(&s->name, request->name) ||
	    !copy(&s->owner, request->owner) || !copy(&s->init_file, init_file) ||
	    !copy(&s->autorun_file, request->autorun_file) ||
	    !copy(&s->permissions, request->permissions_file) ||
	    !copy(&s->storage_root, request->storage_root)) {
		(void)error_oom(err);
		return NULL;
	}
	list_init(&s->link);
	s->type = strcmp(request->type, "CONSOLE") == 0 ? "CONSOLE" : "VIRTUAL";
	s->autorun_arguments = json_incref(request->autorun_file_arguments);
	s->max_concurrent_clients = request->max_concurrent_clients;
	s->is_gl_wanted = request->dcv_gl_enabled;
	s->is_gl_unwanted = request->has_dcv_gl_enabled && !request->dcv_gl_enabled;
	s->creation_time_ms = creation_time_ms;
	s->state = SESSION_CREATING;
	return TAKE(s);
}

bool session_is_of(const struct session *session, const char *name)
{
	return strcmp(session->owner, name) == 0 ||
	       (session->account && strcmp(session->account, name) == 0);
}

void session_set_account(struct session *session, const char *account)
{
	if (!account || (session->account && strcmp(session->account, account) == 0))
		return;
	free(session->account);
	(void)copy(&session->account, account);
}

const char *session_state_name(enum session_state state)
{
	return state_names[state];
}

/* What has not ended before the session has ended with it. */
static void end_status(char **status)
{
	if (*status && strcmp(*status, SESSION_STATUS_RUNNING) == 0)
		session_set_status(status, "ended with the session");
}

int session_apply(struct session *session, enum session_event event, const char *reason,
		  struct error *err)
{
	int next = next_state[session->state][event];

	if (next == NO)
		return error_set(err, ERR_CONFLICT, "session %s is %s and cannot %s", session->id,
				 state_names[session->state], event_names[event]);
	if (session->state == SESSION_DELETED) { /* why it ended is wrong, for it did not */
		free(session->state_reason);
		session->state_reason = NULL;
		session->failure = ERR_NONE;
		session->was_ready = false;
		session->is_starting = false;
		session->end_time_ms = 0;
		session->idle = (struct idle_state){0};
		session_set_status(&session->init_status, NULL);
		session_set_status(&session->autorun_status, NULL);
	}
	if (event == SESSION_EVENT_READY)
		session->was_ready = true;
	session->state = (enum session_state)next;
	if (reason && !session->state_reason)
		session->state_reason = strdup(reason); /* without memory: no reason, still true */
	if (next == SESSION_DELETED) {
		session->end_time_ms = time_now_ms();
		end_status(&session->init_status);
		end_status(&session->autorun_status);
	}
	return 0;
}

void session_set_failure(struct session *session, enum error_code code)
{
	if (!session->was_ready && session->state != SESSION_DELETED)
		session->failure = code;
}

void session_set_status(char **status, const char *text)
{
	char *copied = text ? strdup(text) : NULL;

	free(*status);
	*status = copied; /* without memory: not known */
}

json_t *session_programs_to_json(const struct session *s)
{
	json_t *programs = json_pack("{s:{}}", "Init");

	if (!programs)
		return NULL;
	json_set_text(json_object_get(programs, "Init"), "File", s->init_file);
	json_set_text(json_object_get(programs, "Init"), "Status", s->init_status);
	if (!s->autorun_file)
		return programs;
	(void)json_object_set_new(programs, "Autorun", json_object());
	json_set_text(json_object_get(programs, "Autorun"), "File", s->autorun_file);
	json_set_text(json_object_get(programs, "Autorun"), "Status", s->autorun_status);
	return programs;
}

json_t *session_to_json(const struct session *s)
{
	char time[TIME_SIZE];
	json_t *object;

	time_format(s->creation_time_ms, time);
	object = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I}", "Id", s->id, "Name", s->name, "Owner",
			   s->owner, "Type", s->type, "State", state_names[s->state],
			   "CreationTime", time, "NumOfConnections", (json_int_t)s->n_connections);
	if (!object)
		return NULL;
	if (s->state == SESSION_CREATING)
		json_set_text(object, "Substate", "PENDING_PREPARATION");
	if (s->disconnection_time_ms > 0) {
		time_format(s->disconnection_time_ms, time);
		json_set_text(object, "LastDisconnectionTime", time);
	}
	json_set_text(object, "StateReason", s->state_reason);
	json_set_text(object, "StorageRoot", s->storage_root);
	if (s->max_concurrent_clients > 0)
		(void)json_object_set_new(object, "MaxConcurrentClients",
					  json_integer(s->max_concurrent_clients));
	return object;
}

json_t *session_to_record(const struct session *s)
{
	json_t *record = session_to_json(s);

	if (!record)
		return NULL;
	json_set_text(record, "Account", s->account);
	json_set_text(record, "InitFile", s->init_file);
	json_set_text(record, "AutorunFile", s->autorun_file);
	if (s->autorun_arguments)
		(void)json_object_set(record, "AutorunFileArguments", s->autorun_arguments);
	json_set_text(record, "PermissionsFile", s->permissions);
	if (s->is_gl_wanted || s->is_gl_unwanted)
		(void)json_object_set_new(record, "DcvGlEnabled", json_boolean(s->is_gl_wanted));
	(void)json_object_set_new(record, "Attempt", json_integer(s->attempt));
	(void)json_object_set_new(record, "WasReady", json_boolean(s->was_ready));
	(void)json_object_set_new(record, "Idle", idle_state_to_json(&s->idle));
	if (s->failure != ERR_NONE)
		json_set_text(record, "FailureCode", error_wire_name(s->failure));
	json_set_text(record, "InitStatus", s->init_status);
	json_set_text(record, "AutorunStatus", s->autorun_status);
	if (s->log)
		(void)json_object_set(record, "Log", s->log);
	if (s->end_time_ms > 0)
		(void)json_object_set_new(record, "EndTimeMs", json_integer(s->end_time_ms));
	return record;
}

static int state_from_name(const char *name)
{
	for (int i = 0; name && i < N_SESSION_STATES; i++) {
		if (strcmp(state_names[i], name) == 0)
			return i;
	}
	return NO;
}

/* Absent, or an array of strings. */
static bool are_texts(const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (!json_is_string(json_array_get(array, i)))
			return false;
	}
	return !array || json_is_array(array);
}

struct session *session_from_record(const json_t *record, struct error *err)
{
	long long end_time_ms = json_integer_value(json_object_get(record, "EndTimeMs"));
	const char *left = json_get_text(record, "LastDisconnectionTime");
	const struct create_session_request request = {
		.name = json_get_text(record, "Name"),
		.owner = json_get_text(record, "Owner"),
		.type = json_get_text(record, "Type"),
		.init_file = json_get_text(record, "InitFile"),
		.autorun_file = json_get_text(record, "AutorunFile"),
		.autorun_file_arguments = json_object_get(record, "AutorunFileArguments"),
		.permissions_file = json_get_text(record, "PermissionsFile"),
		.storage_root = json_get_text(record, "StorageRoot"),
		.dcv_gl_enabled = json_is_true(json_object_get(record, "DcvGlEnabled")),
		.has_dcv_gl_enabled = json_is_boolean(json_object_get(record, "DcvGlEnabled")),
		.max_concurrent_clients =
			json_integer_value(json_object_get(record, "MaxConcurrentClients")),
	};
	const char *id = json_get_text(record, "Id"), *time = json_get_text(record, "CreationTime");
	const char *disconnection_time = json_get_text(record, "LastDisconnectionTime");
	int state = state_from_name(json_get_text(record, "State"));
	long long creation_time_ms;
	struct session *s;

	if (!id || !request.name || !request.owner || !request.type || state == NO || !time ||
	    !time_parse(time, &creation_time_ms) || !are_texts(request.autorun_file_arguments) ||
	    !are_texts(json_object_get(record, "Log")) || end_time_ms < 0 ||
	    end_time_ms > TIME_MAX_MS) {
		(void)error_set(err, ERR_INVALID, "not the record of a session");
		return NULL;
	}
	s = session_new(id, &request, creation_time_ms, err);
	if (!s)
		return NULL;
	s->state = (enum session_state)state;
	s->end_time_ms = end_time_ms;
	if (disconnection_time)
		(void)time_parse(disconnection_time, &s->disconnection_time_ms);
	s->attempt = json_integer_value(json_object_get(record, "Attempt"));
	s->was_ready = state == SESSION_READY || json_is_true(json_object_get(record, "WasReady"));
	s->failure = error_find_wire_name(json_get_text(record, "FailureCode"));
	if (left)
		(void)time_parse(left, &s->disconnection_time_ms);
	s->idle = idle_state_from_json(json_object_get(record, "Idle"));
	(void)copy(&s->state_reason, json_get_text(record, "StateReason"));
	(void)copy(&s->init_status, json_get_text(record, "InitStatus"));
	(void)copy(&s->autorun_status, json_get_text(record, "AutorunStatus"));
	s->log = json_incref(json_object_get(record, "Log"));
	session_set_account(s, json_get_text(record, "Account"));
	return s;
}
