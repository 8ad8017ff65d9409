#include "tests/doubles/fleet/agent.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/link-protocol.h"
#include "common/log.h"
#include "common/number.h"
#include "common/text.h"
#include "tests/doubles/fleet/fleet.h"
#include "tests/doubles/fleet/operation.h"
#include "tests/doubles/fleet/session.h"

#define BACKOFF_LEAST_MS 1000
#define BACKOFF_MOST_MS 60000
#define REPORT_DELAY_MS 20

/* --- the server and its sessions ---------------------------------------------------------------
 */

struct session *agent_find_session(const struct agent *agent, const char *id)
{
	list_for_each (session, &agent->sessions, struct session, link) {
		if (strcmp(session_id(session), id) == 0)
			return session;
	}
	return NULL;
}

struct agent_counts agent_count(const struct agent *agent, const char *owner)
{
	struct agent_counts counts = {0};

	list_for_each (session, &agent->sessions, struct session, link) {
		if (session_is(session, "DELETED"))
			continue;
		if (session_is_console(session)) {
			counts.n_console++;
			continue;
		}
		counts.n_virtual++;
		counts.n_owner += owner && strcmp(session_owner(session), owner) == 0;
	}
	return counts;
}

long long agent_tag_number(const struct agent *agent, const char *key)
{
	const json_t *tags = json_object_get(agent->server, "Tags");
	long long value = -1;

	for (size_t i = 0; i < json_array_size(tags); i++) {
		const json_t *tag = json_array_get(tags, i);

		if (strcmp(json_get_text(tag, "Key"), key) == 0)
			(void)number_parse(json_get_text(tag, "Value"), -1, 1000000, &value);
	}
	return value;
}

bool agent_is_full(const struct agent *agent, const struct agent_counts *counts)
{
	long long most = agent_tag_number(agent, "dcv:max-virtual-sessions");

	return counts->n_console > 0 || (most >= 0 && counts->n_virtual >= most);
}

/* What the file says beyond that which follows from sessions and links. */
static void read_availability(struct agent *agent)
{
	static const char *const others[] = {"UNHEALTHY_DCV_SERVER", "EXISTING_LOGGED_IN_USER"};
	const char *availability = json_get_text(agent->server, "Availability");
	const char *reason = json_get_text(agent->server, "UnavailabilityReason");

	if (!availability || strcmp(availability, "UNAVAILABLE") != 0)
		return;
	agent->is_closed = reason && strcmp(reason, "SERVER_CLOSED") == 0;
	for (size_t i = 0; reason && i < ARRAY_SIZE(others); i++) {
		if (strcmp(reason, others[i]) == 0)
			agent->other_reason = others[i];
	}
	if (!reason)
		agent->other_reason = "UNKNOWN";
}

static void update_server(struct agent *agent)
{
	struct agent_counts counts = agent_count(agent, NULL);
	json_t *server = agent->server;
	const char *reason = agent->other_reason             ? agent->other_reason
			     : agent->is_closed              ? "SERVER_CLOSED"
			     : agent_is_full(agent, &counts) ? "SERVER_FULL"
							     : NULL;

	json_set_text(server, "Availability", reason ? "UNAVAILABLE" : "AVAILABLE");
	if (reason)
		json_set_text(server, "UnavailabilityReason", reason);
	else
		(void)json_object_del(server, "UnavailabilityReason");
	(void)json_object_set_new(server, "ConsoleSessionCount", json_integer(counts.n_console));
	(void)json_object_set_new(server, "VirtualSessionCount", json_integer(counts.n_virtual));
}

/* --- reports -----------------------------------------------------------------------------------
 */

static json_t *pack_sessions(struct agent *agent)
{
	unsigned long long now_ms = loop_now_ms(agent->fleet->loop);
	json_t *array = json_array();

	list_for_each_safe (session, &agent->sessions, struct session, link) {
		if (session_is(session, "DELETED") && now_ms - session->ended_ms > SESSION_KEEP_MS)
			session_free(session);
		else
			(void)json_array_append(array, session->attributes);
	}
	return array;
}

static void send_report(struct agent *agent)
{
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *report = NULL;
	struct error err;

	agent->is_report_due = false;
	agent->sequence++;
	update_server(agent);
	report = json_pack("{s:s,s:{s:O,s:o,s:I,s:s}}", "event", "report", "body", "Server",
			   agent->server, "Sessions", pack_sessions(agent), "Sequence",
			   (json_int_t)agent->sequence, "BootId", agent->fleet->boot_id);
	if ((report ? json_append(&text, report, &err) : error_oom(&err)) < 0 ||
	    ws_send(agent->ws, text.data, text.len, &err) < 0)
		log_error("report of %s: %s", agent->id, err.message);
	timer_start(agent->timer, agent->fleet->interval_ms, 0);
}

void agent_report_soon(struct agent *agent)
{
	if (!agent->ws || agent->is_silent || agent->is_report_due)
		return;
	agent->is_report_due = true;
	timer_start(agent->timer, REPORT_DELAY_MS, 0);
}

static void on_timer(void *userdata)
{
	struct agent *agent = userdata;

	if (agent->ws)
		send_report(agent);
	else
		fleet_enqueue(agent->fleet, agent);
}

/* --- silence -----------------------------------------------------------------------------------
 */

static void on_silence(void *userdata)
{
	struct agent *agent = userdata;

	log_debug("%s falls silent", agent->id);
	agent->is_silent = true;
	timer_stop(agent->timer);
	agent->is_report_due = false;
	if (agent->ws)
		ws_set_reading(agent->ws, false);
	/* Nobody is to wait for what will not come. */
	fleet_settle(agent->fleet, agent);
	fleet_end_turn(agent->fleet, agent);
}

static void arm_silence(struct agent *agent)
{
	if (agent->behaviour.silent_after_ms == 0 || !agent->ws)
		return;
	if (!agent->silence_timer)
		agent->silence_timer = timer_new(agent->fleet->loop, on_silence, agent);
	if (agent->silence_timer)
		timer_start(agent->silence_timer, agent->behaviour.silent_after_ms, 0);
}

static void end_silence(struct agent *agent)
{
	if (agent->silence_timer)
		timer_stop(agent->silence_timer);
	if (!agent->is_silent)
		return;
	agent->is_silent = false;
	if (agent->ws) {
		ws_set_reading(agent->ws, true);
		agent_report_soon(agent);
	} else if (agent->link == LINK_DOWN && !agent->is_away) {
		fleet_enqueue(agent->fleet, agent);
	}
}

/* --- messages of the broker --------------------------------------------------------------------
 */

static void send_reply(struct agent *agent, long long id, int status, const json_t *body)
{
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	if (buf_append_text(&text, "{\"id\":", &err) < 0 ||
	    json_append_integer(&text, id, &err) < 0 ||
	    buf_append_text(&text, ",\"status\":", &err) < 0 ||
	    json_append_integer(&text, status, &err) < 0 ||
	    buf_append_text(&text, ",\"body\":", &err) < 0 || json_append(&text, body, &err) < 0 ||
	    buf_append_text(&text, "}", &err) < 0 ||
	    ws_send(agent->ws, text.data, text.len, &err) < 0)
		log_error("reply of %s: %s", agent->id, err.message);
}

/* @fields: NULL with the @err that tells why. */
static void carry_out(struct agent *agent, long long id, const struct operation *op,
		      const union operation_fields *fields, const json_t *context,
		      struct error *err)
{
	json_auto_t *reply = NULL;
	int result;

	if (op)
		agent->n_received[op->id]++;
	if (agent->behaviour.is_hanging)
		return;
	result = fields ? operation_carry_out(agent, op, fields, context, &reply, err) : -1;
	if (result < 0)
		reply = json_pack("{s:s,s:s}", "error", err->message, "code",
				  error_wire_name(err->code));
	send_reply(agent, id, result < 0 ? error_http_status(err->code) : 200, reply);
}

static void on_operation(struct agent *agent, const json_t *message, const char *name)
{
	const struct operation *op = operation_find_name(name);
	union operation_fields fields;
	struct error err = {0};
	int result =
		op && operation_is_known(op)
			? params_read(op->params, json_object_get(message, "body"), &fields, &err)
			: error_set(&err, ERR_UNSUPPORTED, "an agent has no operation %.100s",
				    name);

	carry_out(agent, json_integer_value(json_object_get(message, "id")), op,
		  result == 0 ? &fields : NULL, json_object_get(message, "context"), &err);
}

/* What is between @at and the next @end, which is stepped over; NULL if there is none. */
static char *cut(char **at, const char *end)
{
	char *found = strstr(*at, end), *text = *at;

	if (!found)
		return NULL;
	*found = '\0';
	*at = found + strlen(end);
	return text;
}

/* Most commands are read without building JSON, so that a fleet costs less than the broker that is
 * measured with it. False: this one is not as plain. */
static bool take_plain(struct agent *agent, const char *text, size_t len)
{
	AUTO(free_p) char *copy = strndup(text, len);
	char *at = copy, *id, *name;
	const struct operation *op;
	union operation_fields fields;
	struct error err = {0};
	size_t body_len;

	if (!copy || !cut(&at, "{\"id\":") || !(id = cut(&at, ",\"operation\":\"")) ||
	    !(name = cut(&at, "\",\"context\":{")) || !cut(&at, "},\"body\":"))
		return false;
	op = operation_find_name(name);
	if (!op || !operation_is_known(op) || operation_needs_context(op))
		return false;
	body_len = params_scan(op->params, at, &fields);
	if (body_len == 0 || strcmp(at + body_len, "}") != 0)
		return false;
	carry_out(agent, strtoll(id, NULL, 10), op, &fields, NULL, &err);
	return true;
}

static void on_report_received(struct agent *agent)
{
	agent->n_acknowledged++;
	agent->backoff_ms = BACKOFF_LEAST_MS;
	registration_accepted(&agent->registration);
	fleet_settle(agent->fleet, agent);
	fleet_end_turn(agent->fleet, agent);
}

static void on_message(struct ws *ws, const char *text, size_t len, void *userdata)
{
	struct agent *agent = ws_user(ws);
	json_auto_t *message = NULL;
	const char *operation, *event;
	struct error err;

	(void)userdata;
	if (agent->is_silent || agent->fleet->loop->is_stopping || take_plain(agent, text, len))
		return;
	if (json_parse(text, len, &message, &err) < 0) {
		log_error("message to %s: %s", agent->id, err.message);
		ws_close(ws, LWS_CLOSE_STATUS_INVALID_PAYLOAD, "not JSON");
		return;
	}
	operation = json_get_text(message, "operation");
	event = json_get_text(message, "event");
	if (operation)
		on_operation(agent, message, operation);
	else if (event && strcmp(event, "reportReceived") == 0)
		on_report_received(agent);
}

/* --- up and down -------------------------------------------------------------------------------
 */

static void go_down(struct agent *agent)
{
	/* ±20 %, so that a fleet does not come back at one moment */
	unsigned long long ms = agent->backoff_ms * (80 + random_number(41)) / 100;

	agent->link = LINK_DOWN;
	timer_stop(agent->timer);
	if (!agent->is_away && !agent->is_silent) {
		timer_start(agent->timer, ms, 0);
		agent->backoff_ms = agent->backoff_ms * 2 < BACKOFF_MOST_MS ? agent->backoff_ms * 2
									    : BACKOFF_MOST_MS;
	}
	fleet_end_turn(agent->fleet, agent);
}

static void on_failed(int status, const struct error *err, void *userdata)
{
	struct agent *agent = userdata;

	fleet_tell_failure(agent->fleet, agent, err);
	if (status == 401 || status == 403)
		registration_refused(&agent->registration);
	go_down(agent);
}

static void on_open(struct ws *ws, const char *authorization, void *userdata)
{
	struct agent *agent = ws_user(ws);

	(void)authorization;
	(void)userdata;
	agent->ws = ws;
	agent->link = LINK_UP;
	agent->n_links++;
	if (agent->is_away) {
		ws_close(ws, LWS_CLOSE_STATUS_NORMAL, "told to stay away");
		return;
	}
	send_report(agent);
	arm_silence(agent);
}

static void on_close(struct ws *ws, const char *why, void *userdata)
{
	struct agent *agent = ws_user(ws);

	(void)userdata;
	agent->ws = NULL;
	if (agent->fleet->loop->is_stopping)
		return;
	log_debug("link of %s lost: %s", agent->id, why);
	agent->is_report_due = false;
	if (agent->silence_timer)
		timer_stop(agent->silence_timer);
	go_down(agent);
}

const struct ws_handler agent_ws_handler = {
	.protocol = LINK_PROTOCOL,
	.message_max_bytes = LINK_MESSAGE_MAX_BYTES,
	.queue_max_bytes = LINK_MESSAGE_MAX_BYTES,
	.open = on_open,
	.message = on_message,
	.close = on_close,
};

static void on_token(const char *token, const struct error *failure, void *userdata)
{
	struct agent *agent = userdata;
	const struct broker *broker = &agent->fleet->broker;
	AUTO(buf_done) struct buf authorization = {0};
	struct http_client_request request = {
		.host = broker->host, .port = broker->port, .path = LINK_PATH};
	struct error err;

	if (agent->is_away) {
		go_down(agent);
		return;
	}
	if (!token) {
		on_failed(0, failure, agent);
		return;
	}
	if (buf_printf(&authorization, &err, "Bearer %s", token) == 0) {
		request.authorization = authorization.data;
		if (http_client_connect(broker->client, &request, on_failed, agent, &err) == 0)
			return;
	}
	on_failed(0, &err, agent);
}

void agent_connect(struct agent *agent)
{
	agent->link = LINK_CONNECTING;
	registration_get_token(&agent->registration, on_token, agent);
}

/* --- the control socket's ----------------------------------------------------------------------
 */

int agent_set_behaviour(struct agent *agent, const json_t *object, struct error *err)
{
	unsigned long long before_ms = agent->behaviour.silent_after_ms;

	if (behaviour_set(&agent->behaviour, object, err) < 0)
		return -1;
	if (agent->behaviour.silent_after_ms != before_ms) {
		end_silence(agent);
		arm_silence(agent);
	}
	return 0;
}

void agent_drop(struct agent *agent)
{
	end_silence(agent);
	if (agent->ws)
		ws_close(agent->ws, LWS_CLOSE_STATUS_NORMAL, "told to drop the link");
}

void agent_stay_away(struct agent *agent)
{
	agent->is_away = true;
	end_silence(agent);
	if (agent->link == LINK_WAITING) {
		list_remove(&agent->waiting);
		agent->link = LINK_DOWN;
	}
	if (agent->link == LINK_DOWN)
		timer_stop(agent->timer);
	if (agent->ws)
		ws_close(agent->ws, LWS_CLOSE_STATUS_NORMAL, "told to stay away");
}

void agent_come_back(struct agent *agent)
{
	bool was_away = agent->is_away;

	agent->is_away = false;
	end_silence(agent);
	agent->backoff_ms = BACKOFF_LEAST_MS;
	/* A link that is closing still comes back by itself. */
	if (was_away && agent->link == LINK_DOWN)
		fleet_enqueue(agent->fleet, agent);
}

/* --- beginning and end -------------------------------------------------------------------------
 */

int agent_init(struct agent *agent, struct fleet *fleet, json_t *server,
	       const struct behaviour *behaviour, struct error *err)
{
	*agent = (struct agent){.fleet = fleet, .server = server, .backoff_ms = BACKOFF_LEAST_MS};
	list_init(&agent->sessions);
	agent->id = json_get_text(server, "Id");
	agent->registration.broker = &fleet->broker;
	agent->registration.client_name = json_get_text(server, "Hostname");
	behaviour_copy(&agent->behaviour, behaviour);
	read_availability(agent);
	agent->timer = timer_new(fleet->loop, on_timer, agent);
	return agent->timer ? 0 : error_oom(err);
}

void agent_stop(struct agent *agent)
{
	timer_free(TAKE(agent->timer));
	timer_free(TAKE(agent->silence_timer));
	list_for_each_safe (session, &agent->sessions, struct session, link)
		session_free(session);
}

void agent_done(struct agent *agent)
{
	registration_done(&agent->registration);
	behaviour_done(&agent->behaviour);
	json_decref(agent->server);
}
