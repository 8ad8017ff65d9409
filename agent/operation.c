#include "agent/operation.h"

#include <stdlib.h>
#include <string.h>

#include "agent/disk.h"
#include "agent/guests.h"
#include "agent/idle.h"
#include "agent/session-log.h"
#include "agent/session-permissions.h"
#include "agent/tags.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/log.h"
#include "common/page.h"
#include "common/requests.h"
#include "common/text.h"

/* What a screenshot may take where no broker says how long it waits. */
#define SCREENSHOT_LIMIT_MS 6000
#define SCREENSHOT_SIDE_MAX 65535
#define SECONDS_PER_DAY 86400

/**
 * A handler. 0 with *ret set: the answer; 0 with *ret NULL: the answer comes later, through
 * request->answer; -1: the failure. @fields is the operation's request struct, filled.
 */
typedef int operation_fn(const struct request *request, const void *fields, json_t **ret,
			 struct error *err);

#define OPERATION(id, name, method, path, body, who, echo, help) static operation_fn run_##id;
#include "common/operations.def"
#undef OPERATION

static operation_fn run_get_session_log;

static operation_fn *const handlers[N_OPERATIONS + 1] = {
#define OPERATION(id, name, method, path, body, who, echo, help) [OPERATION_##id] = run_##id,
#include "common/operations.def"
#undef OPERATION
	[N_OPERATIONS] = run_get_session_log,
};

static int run(const struct request *request, json_t **ret, struct error *err)
{
	AUTO(free_p) void *fields = malloc(request->op->params->size);

	if (!fields)
		return error_oom(err);
	if (!request->agent->is_ready)
		return error_set(err, ERR_UNAVAILABLE, "the agent is starting");
	if (params_read(request->op->params, request->body, fields, err) < 0)
		return -1;
	return handlers[request->op->id](request, fields, ret, err);
}

void operation_carry_out(const struct request *request)
{
	struct error err = {0};
	json_t *reply = NULL;

	if (run(request, &reply, &err) < 0)
		answer_fail(request->answer, &err);
	else if (reply)
		answer_succeed_json(request->answer, reply);
}

/* What a reply is packed from may fail for want of memory only. */
static int packed(json_t *object, json_t **ret, struct error *err)
{
	if (!object)
		return error_oom(err);
	*ret = object;
	return 0;
}

static int no_such_session(struct error *err)
{
	return error_set(err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SESSION);
}

/* The session that a request names by id and owner, if the caller may touch it and it lives. */
static struct session *find_owned(const struct request *request, const char *id, const char *owner)
{
	struct session *session =
		session_list_find_for(&request->agent->sessions, request->caller, id);

	if (!session || session->state == SESSION_DELETED || !session_is_of(session, owner))
		return NULL;
	return session;
}

/* --- CreateSessions ----------------------------------------------------------------------------
 */

/* InitFilePath may be absolute if it lies in the init folder. The keeper sees relative names only.
 */
static void make_relative(struct create_session_request *r, const char *init_folder)
{
	size_t len = strlen(init_folder);

	if (r->init_file)
		r->init_file_path = NULL;
	if (!r->init_file_path || strncmp(r->init_file_path, init_folder, len) != 0 ||
	    (init_folder[len - 1] != '/' && r->init_file_path[len] != '/'))
		return;
	r->init_file_path += len;
	r->init_file_path += strspn(r->init_file_path, "/");
}

static int check_create(const struct request *request, const struct create_session_request *r,
			struct error *err)
{
	const struct server *server = &request->agent->server;

	if (!caller_owns(request->caller, r->owner))
		return error_set(err, ERR_DENIED, "user %s may create sessions for themselves only",
				 request->caller->name);
	/* The broker has evaluated them; at the local socket there is one server, and the caller
	 * has chosen it. Refused rather than ignored. */
	if (!request->context && r->requirements && r->requirements[strspn(r->requirements, " ")])
		return error_set(err, ERR_UNSUPPORTED,
				 "Requirements choose among the servers of a broker");
	if (server->is_closed)
		return error_set(err, ERR_LIMIT, "this server is closed");
	/* A broker has limits of its own, from its settings. */
	if (!request->context &&
	    create_session_check(r, AUTORUN_ARGUMENTS_MAX, AUTORUN_ARGUMENT_MAX, err) < 0)
		return -1;
	if (strcmp(r->type, "CONSOLE") == 0 && r->autorun_file)
		return error_set(err, ERR_UNSUPPORTED,
				 "AutorunFile is not supported for CONSOLE sessions");
	return 0;
}

static json_t *pack_created(const struct session *s)
{
	json_t *object = json_pack("{s:s,s:s,s:s,s:s,s:s}", "Id", s->id, "Name", s->name, "Owner",
				   s->owner, "Type", s->type, "State",
				   session_state_name(s->state));

	/* As the API has it, even though the server is chosen already. */
	if (object && s->state == SESSION_CREATING)
		json_set_text(object, "Substate", "SESSION_PLACING");
	return object;
}

static void log_creation(const struct request *request, struct session *s)
{
	const char *request_id = json_get_text(request->context, "RequestId");

	session_log_add(s, "api", "CreateSessions by %s%s%s (type=%s, owner=%s, name=%s)",
			request->caller->name, request_id ? ", request " : "",
			request_id ? request_id : "", s->type, s->owner, s->name);
	session_log_add(s, "api", "init file %s, autorun file %s, arguments: %zu, permissions %s",
			s->init_file ? s->init_file : "of the host",
			s->autorun_file ? s->autorun_file : "none",
			json_array_size(s->autorun_arguments),
			s->permissions ? "of the request" : "of the host");
}

static int run_create_sessions(const struct request *request, const void *fields, json_t **ret,
			       struct error *err)
{
	struct create_session_request r = *(const struct create_session_request *)fields;
	AUTO(permissions_free_p) struct permissions *rights = NULL;
	const char *wanted_id = json_get_text(request->context, "SessionId");
	const char *wanted_time = json_get_text(request->context, "CreationTime");
	long long attempt = json_integer_value(json_object_get(request->context, "Attempt"));
	long long time_ms = time_now_ms();
	char id[UUID_SIZE];
	struct session *session;

	if (wanted_id && !session_list_is_id(wanted_id))
		return error_set(err, ERR_INVALID, "SessionId is not one");
	session = wanted_id ? session_list_find(&request->agent->sessions, wanted_id) : NULL;
	if (session && (session->state != SESSION_DELETED || attempt <= session->attempt))
		return packed(pack_created(session), ret, err); /* the broker repeats itself */
	if (session) /* it could not be created, and the broker tries once more */
		session_list_remove(&request->agent->sessions, session);
	if (check_create(request, &r, err) < 0)
		return -1;
	make_relative(&r, request->agent->config->init_folder);
	if (wanted_time)
		(void)time_parse(wanted_time, &time_ms);
	uuid_make(id);
	if (session_permissions_read(wanted_id ? wanted_id : id, r.permissions_file,
				     request->agent->config, &rights, err) < 0)
		return -1;
	session = session_new(wanted_id ? wanted_id : id, &r, time_ms, err);
	if (!session)
		return -1;
	session->attempt = attempt;
	session->rights = TAKE(rights);
	log_creation(request, session);
	if (agent_create_session(request->agent, session, err) < 0)
		return -1;
	return packed(pack_created(session), ret, err);
}

/* --- DescribeSessions --------------------------------------------------------------------------
 */

static bool has_tag(const struct server *server, const char *key, const char *value)
{
	const char *found = tags_get(server->tags, key, strlen(key));

	return found && strcmp(found, value) == 0;
}

static bool passes_filters(const struct agent *agent, const struct session *session,
			   const json_t *filters)
{
	for (size_t i = 0; i < json_array_size(filters); i++) {
		const json_t *filter = json_array_get(filters, i);
		const char *key = json_get_text(filter, "Key");
		const char *value = json_get_text(filter, "Value");

		if (strcmp(key, "owner") == 0
			    ? !session_is_of(session, value)
			    : !has_tag(&agent->server, key + strlen(FILTER_TAG), value))
			return false;
	}
	return true;
}

/* Is @text in the list? An absent list has everything. */
static bool is_listed(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
			return true;
	}
	return !list;
}

static int compare_ids(const void *a, const void *b)
{
	const struct session *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

/* The sessions that the caller may see and asked for, sorted by id. */
static struct session **select_sessions(const struct request *request,
					const struct describe_sessions_request *r, size_t *ret_n)
{
	const struct list *sessions = &request->agent->sessions.sessions;
	struct session **selected;
	size_t n = 1;

	list_for_each (s, sessions, struct session, link)
		n++;
	selected = calloc(n, sizeof(struct session *));
	n = 0;
	if (!selected)
		return NULL;
	list_for_each (s, sessions, struct session, link) {
		if (caller_owns_session(request->caller, s) && is_listed(r->session_ids, s->id) &&
		    passes_filters(request->agent, s, r->filters))
			selected[n++] = s;
	}
	qsort(selected, n, sizeof(struct session *), compare_ids);
	*ret_n = n;
	return selected;
}

/* Beyond the API. NULL without memory. */
static json_t *pack_local_of(const struct agent *agent, const struct session *session)
{
	json_t *local = session_programs_to_json(session);

	if (local)
		(void)json_object_set_new(local, "Idle", idle_to_json(agent, session));
	return local;
}

static int append_session(const struct request *request, const struct session *session,
			  struct buf *text, struct error *err)
{
	json_auto_t *object = session_to_json(session);

	if (!object || json_object_set_new(object, "Server",
					   server_to_short_json(&request->agent->server)) < 0)
		return error_oom(err);
	if (!request->context) /* beyond the API, and told at the local socket only */
		(void)json_object_set_new(object, "Local", pack_local_of(request->agent, session));
	return json_append(text, object, err);
}

/* The place in @selected where the page after @mark begins. */
static size_t page_start(struct session **selected, size_t n, const struct page_mark *mark)
{
	size_t at = 0;

	while (mark->id && at < n && strcmp(selected[at]->id, mark->id) <= 0)
		at++;
	return at;
}

static int append_sessions(const struct request *request, const struct describe_sessions_request *r,
			   const struct page_mark *mark, struct buf *text, struct error *err)
{
	size_t n = 0, first, end;
	AUTO(free_p) struct session **selected = select_sessions(request, r, &n);

	if (!selected)
		return error_oom(err);
	first = page_start(selected, n, mark);
	end = r->max_results > 0 && (size_t)r->max_results < n - first
		      ? first + (size_t)r->max_results
		      : n;
	if (buf_append_text(text, "{\"Sessions\":[", err) < 0)
		return -1;
	for (size_t i = first; i < end; i++) {
		if ((i > first && buf_append_text(text, ",", err) < 0) ||
		    append_session(request, selected[i], text, err) < 0)
			return -1;
	}
	if (end == n)
		return buf_append_text(text, "]}", err);
	if (buf_append_text(text, "],\"NextToken\":\"", err) < 0 ||
	    page_token_append(PAGE_OF_SESSIONS, selected[end - 1]->id, request->agent->server.id,
			      text, err) < 0)
		return -1;
	return buf_append_text(text, "\"}", err);
}

static int run_describe_sessions(const struct request *request, const void *fields, json_t **ret,
				 struct error *err)
{
	const struct describe_sessions_request *r = fields;
	AUTO(buf_done) struct buf text = {0};
	AUTO(page_mark_done) struct page_mark mark = {0};

	(void)ret;
	if ((r->next_token && page_token_read(PAGE_OF_SESSIONS, r->next_token, &mark, err) < 0) ||
	    append_sessions(request, r, &mark, &text, err) < 0)
		return -1;
	answer_succeed(request->answer, &text);
	return 0;
}

/* --- one session -------------------------------------------------------------------------------
 */

static int run_delete_sessions(const struct request *request, const void *fields, json_t **ret,
			       struct error *err)
{
	const struct delete_session_request *r = fields;
	struct session *session = find_owned(request, r->session_id, r->owner);

	if (!session)
		return no_such_session(err);
	session_log_add(session, "api", "DeleteSessions by %s", request->caller->name);
	if (agent_end_session(request->agent, session, "deleted on request", err) < 0)
		return -1;
	return packed(json_pack("{s:s,s:s}", "SessionId", r->session_id, "State", "DELETING"), ret,
		      err);
}

/* Permissions that the engine is told of. */
struct permissions_update {
	struct answer answer; /* the engine's */
	struct answer *outer;
	struct agent *agent;
	char *session_id;
	char *text; /* base64 */
	struct permissions *rights;
};

static void update_free(struct permissions_update *update)
{
	free(update->session_id);
	free(update->text);
	permissions_free(update->rights);
	free(update);
}

/* Takes *rights on success. */
static int keep_permissions(struct agent *agent, struct session *session, const char *text,
			    struct permissions **rights, struct error *err)
{
	AUTO(free_p) char *before = session->permissions;

	session->permissions = strdup(text);
	if (!session->permissions || session_list_save(&agent->sessions, session, err) < 0) {
		if (!session->permissions)
			(void)error_oom(err);
		free(session->permissions);
		session->permissions = TAKE(before);
		return -1;
	}
	permissions_free(session->rights);
	session->rights = TAKE(*rights);
	log_info("session %s has new permissions (owner=%s)", session->id, session->owner);
	session_permissions_warn(session, agent->loop);
	guests_update(agent->guests, session);
	return 0;
}

/* What the engine has refused is not kept either. */
static void on_permissions_told(struct answer *answer, struct buf *text, const struct error *err)
{
	struct permissions_update *update = (struct permissions_update *)(void *)answer;
	struct session *session = session_list_find(&update->agent->sessions, update->session_id);
	struct error problem;

	if (!err && (!session ? no_such_session(&problem)
			      : keep_permissions(update->agent, session, update->text,
						 &update->rights, &problem)) < 0)
		err = &problem;
	if (err)
		answer_fail(update->outer, err);
	else
		answer_succeed_json(update->outer,
				    json_pack("{s:s}", "SessionId", update->session_id));
	if (text)
		buf_done(text);
	update_free(update);
}

static int tell_permissions(const struct request *request, struct session *session,
			    const char *text, struct permissions **rights, struct error *err)
{
	struct engine *engine = request->agent->engine;
	struct permissions_update *update = calloc(1, sizeof(*update));

	if (!update)
		return error_oom(err);
	update->answer.give = on_permissions_told;
	update->outer = request->answer;
	update->agent = request->agent;
	update->session_id = strdup(session->id);
	update->text = strdup(text);
	if (!update->session_id || !update->text) {
		update_free(update);
		return error_oom(err);
	}
	update->rights = TAKE(*rights);
	engine->ops->set_permissions(engine, session, update->text, &update->answer);
	return 0;
}

static int run_update_session_permissions(const struct request *request, const void *fields,
					  json_t **ret, struct error *err)
{
	const struct update_session_permissions_request *r = fields;
	struct agent *agent = request->agent;
	struct session *session = find_owned(request, r->session_id, r->owner);
	AUTO(permissions_free_p) struct permissions *rights = NULL;

	if (!session)
		return no_such_session(err);
	if (session->state != SESSION_READY && session->state != SESSION_CREATING)
		return error_set(err, ERR_CONFLICT, "the session is %s",
				 session_state_name(session->state));
	session_log_add(session, "api", "UpdateSessionPermissions by %s", request->caller->name);
	if (session_permissions_read(session->id, r->permissions_file, agent->config, &rights,
				     err) < 0) {
		session_log_add(session, "agent", "it keeps its permissions: %s", err->message);
		log_info("session %s keeps its permissions: %s", session->id, err->message);
		return -1;
	}
	if (agent->engine->ops->set_permissions)
		return tell_permissions(request, session, r->permissions_file, &rights, err);
	if (keep_permissions(agent, session, r->permissions_file, &rights, err) < 0)
		return -1;
	return packed(json_pack("{s:s}", "SessionId", r->session_id), ret, err);
}

static int run_get_session_connection_data(const struct request *request, const void *fields,
					   json_t **ret, struct error *err)
{
	const struct get_session_connection_data_request *r = fields;
	const struct agent *agent = request->agent;
	struct session *session =
		session_list_find_for(&agent->sessions, request->caller, r->session_id);
	AUTO(free_p) char *token = NULL;
	json_t *object;

	if (!caller_owns(request->caller, r->user))
		return error_set(err, ERR_DENIED, "user %s may connect as themselves only",
				 request->caller->name);
	if (!session || session->state == SESSION_DELETED)
		return error_set(err, ERR_INVALID, "Session not found: %s", r->session_id);
	if (session->state != SESSION_READY)
		return error_set(err, ERR_INVALID,
				 "Session %s is neither in READY nor in UNKNOWN state",
				 session->id);
	token = token_make(&agent->token_key, session->id, r->user, time_now_ms(), err);
	if (!token)
		return -1;
	object = session_to_json(session);
	if (object)
		(void)json_object_set_new(object, "Server", server_to_short_json(&agent->server));
	return packed(json_pack("{s:o,s:s}", "Session", object, "ConnectionToken", token), ret,
		      err);
}

static int run_get_session_log(const struct request *request, const void *fields, json_t **ret,
			       struct error *err)
{
	const struct get_session_log_request *r = fields;
	struct agent *agent = request->agent;
	const struct session *session =
		session_list_find_for(&agent->sessions, request->caller, r->session_id);

	(void)ret;
	if (!session)
		return no_such_session(err);
	/* An administrator of sessions is not one of the host. */
	if (!caller_may_read(request->caller, session))
		return error_set(err, ERR_DENIED, "only %s and root may read this session's log",
				 session->owner);
	session_log_answer(&agent->log_desk, session,
			   request->caller->is_root ? NULL : request->caller->name,
			   request->answer);
	return 0;
}

/* A bound of a screenshot: the request's, the broker's, or ours. */
static long long bound(long long asked, const json_t *context, const char *key, long long fallback)
{
	long long value = asked;

	if (value <= 0)
		value = json_integer_value(json_object_get(context, key));
	if (value <= 0)
		value = fallback;
	return value < SCREENSHOT_SIDE_MAX ? value : SCREENSHOT_SIDE_MAX;
}

static int run_get_session_screenshots(const struct request *request, const void *fields,
				       json_t **ret, struct error *err)
{
	const struct get_session_screenshot_request *r = fields;
	const struct agent_config *config = request->agent->config;
	const char *format = json_get_text(request->context, "Format");
	long long limit_ms = json_integer_value(json_object_get(request->context, "Deadline"));
	struct session *session =
		session_list_find_for(&request->agent->sessions, request->caller, r->session_id);
	struct screenshot_wish wish = {
		.max_width = bound(r->max_width, request->context, "MaxWidth",
				   config->screenshot_max_width),
		.max_height = bound(r->max_height, request->context, "MaxHeight",
				    config->screenshot_max_height),
		.format = format && strcmp(format, "jpeg") == 0 ? "jpeg"
			  : format                              ? "png"
								: config->screenshot_format,
		.limit_ms = limit_ms > 0 && limit_ms < SCREENSHOT_LIMIT_MS
				    ? (unsigned long long)limit_ms
				    : SCREENSHOT_LIMIT_MS,
	};

	(void)ret;
	if (!session || session->state == SESSION_DELETED)
		return error_set(err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SESSION_SCREENSHOT);
	if (session->state != SESSION_READY)
		return error_set(err, ERR_CONFLICT, FAILURE_NOT_READY_SCREENSHOT);
	request->agent->engine->ops->screenshot(request->agent->engine, session, &wish,
						request->answer);
	return 0;
}

/* --- the server --------------------------------------------------------------------------------
 */

/* What is beyond the API, and told at the local socket only. */
static json_t *pack_local(const struct agent *agent)
{
	json_t *local = json_pack("{s:o}", "FreeBytes", disk_free_bytes(""));
	long long end_s = agent->broker_certificate_end_s;
	struct error trouble;

	if (agent->engine->ops->check(agent->engine, &trouble) < 0)
		json_set_text(local, "EngineTrouble", trouble.message);
	if (agent->config->broker_host)
		(void)json_object_set_new(local, "BrokerLinked", json_boolean(agent->is_linked));
	if (agent->config->broker_host && !agent->is_linked)
		json_set_text(local, "BrokerTrouble", agent->link_trouble.message);
	if (end_s > 0)
		(void)json_object_set_new(
			local, "BrokerCertificateDaysLeft",
			json_integer((end_s - time_now_ms() / 1000) / SECONDS_PER_DAY));
	if (agent->has_clock_skew)
		(void)json_object_set_new(local, "ClockSkewMilliseconds",
					  json_integer(agent->clock_skew_ms));
	return local;
}

static json_t *pack_server(const struct request *request)
{
	json_t *object = server_to_json(&request->agent->server);

	if (object && !request->context)
		(void)json_object_set_new(object, "Local", pack_local(request->agent));
	return object;
}

static int run_describe_servers(const struct request *request, const void *fields, json_t **ret,
				struct error *err)
{
	const struct describe_servers_request *r = fields;
	const struct server *server = &request->agent->server;
	AUTO(page_mark_done) struct page_mark mark = {0};
	json_t *servers;

	if (r->next_token && page_token_read(PAGE_OF_SERVERS, r->next_token, &mark, err) < 0)
		return -1;
	servers = json_array();
	if (is_listed(r->server_ids, server->id) && (!mark.id || strcmp(server->id, mark.id) > 0))
		(void)json_array_append_new(servers, pack_server(request));
	return packed(json_pack("{s:o}", "Servers", servers), ret, err);
}

static int set_closed(const struct request *request, const char *server_id, bool is_closed,
		      json_t **ret, struct error *err)
{
	struct agent *agent = request->agent;

	if (server_set_closed(&agent->server, is_closed, err) < 0)
		return -1;
	agent->on_change(agent->userdata);
	return packed(json_pack("{s:s}", "ServerId", server_id), ret, err);
}

static int run_open_servers(const struct request *request, const void *fields, json_t **ret,
			    struct error *err)
{
	const struct open_server_request *r = fields;

	if (strcmp(r->server_id, request->agent->server.id) != 0)
		return error_set(err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SERVER);
	return set_closed(request, r->server_id, false, ret, err);
}

static int run_close_servers(const struct request *request, const void *fields, json_t **ret,
			     struct error *err)
{
	const struct close_server_request *r = fields;
	struct session_counts counts = session_list_count(&request->agent->sessions, NULL);

	if (strcmp(r->server_id, request->agent->server.id) != 0)
		return error_set(err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SERVER);
	if (!r->force && counts.n_console + counts.n_virtual > 0)
		return error_set(err, ERR_CONFLICT, FAILURE_SERVER_HAS_SESSIONS);
	return set_closed(request, r->server_id, true, ret, err);
}
