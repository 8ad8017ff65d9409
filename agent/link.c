#include "agent/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/boot.h"
#include "agent/caller.h"
#include "agent/operation.h"
#include "agent/registration.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/http-client.h"
#include "common/json.h"
#include "common/link-protocol.h"
#include "common/log.h"
#include "common/text.h"

#define BACKOFF_LEAST_MS 1000
#define BACKOFF_MOST_MS 60000

/* Changes that come together are told together. */
#define REPORT_DELAY_MS 20

struct link {
	struct agent *agent;
	struct http_client *client;
	struct registration *registration;
	struct ws *ws; /* NULL while it is down */
	struct timer *reconnect_timer, *report_timer;
	unsigned long long backoff_ms;
	unsigned long long message_max_bytes; /* the broker's limit */
	unsigned long long sequence;
	char boot_id[UUID_SIZE];
	struct list requests; /* struct link_request::link */
};

/* A request of the broker on its way through the operations. */
struct link_request {
	struct answer answer; /* first */
	struct list link;     /* link::requests */
	struct link *owner;   /* NULL once the link that it came by is down */
	struct agent *agent;
	json_int_t id;
	uint64_t began_ns;
	json_t *message;
};

static const struct caller broker = {.name = (char *)"broker", .is_admin = true, .is_broker = true};

/* --- reports -----------------------------------------------------------------------------------
 */

/* As the API shows it, with what only the broker is to know. */
static json_t *pack_session(const struct session *s)
{
	json_t *object = session_to_json(s);

	if (object && s->state == SESSION_DELETED && s->failure != ERR_NONE)
		json_set_text(object, "FailureCode", error_wire_name(s->failure));
	return object;
}

static json_t *pack_sessions(const struct session_list *sessions)
{
	json_t *array = json_array();

	list_for_each (s, &sessions->sessions, struct session, link) {
		if (json_array_append_new(array, pack_session(s)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_int_t count_leaked(const struct session_list *sessions)
{
	json_int_t n = 0;

	list_for_each (s, &sessions->sessions, struct session, link)
		n += s->state == SESSION_DELETING ? s->n_leaked : 0;
	return n;
}

static int append_report(const struct link *link, struct buf *text, struct error *err)
{
	json_auto_t *report = json_pack("{s:s,s:{s:o,s:o,s:I,s:I,s:s}}", "event", "report", "body",
					"Server", server_to_json(&link->agent->server), "Sessions",
					pack_sessions(&link->agent->sessions), "LeakedProcesses",
					count_leaked(&link->agent->sessions), "Sequence",
					(json_int_t)link->sequence, "BootId", link->boot_id);

	return report ? json_append(text, report, err) : error_oom(err);
}

static void send_report(void *userdata)
{
	struct link *link = userdata;
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	if (!link->ws)
		return;
	link->sequence++;
	if (append_report(link, &text, &err) < 0 ||
	    ws_send(link->ws, text.data, text.len, &err) < 0)
		log_error("report to the broker: %s", err.message);
	viewer_certificate_tell_host(link->agent); /* the broker knows it now */
	timer_start(link->report_timer,
		    (unsigned long long)link->agent->config->broker_update_interval * 1000, 0);
}

void link_report_soon(struct link *link)
{
	if (link && link->ws)
		timer_start(link->report_timer, REPORT_DELAY_MS, 0);
}

/* --- the viewer's certificate ------------------------------------------------------------------
 */

int link_ask_certificate(struct link *link, const char *request, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};

	if (!link || !link->ws)
		return error_set(err, ERR_UNREACHABLE, "the broker is not reached");
	send_report(link); /* it signs for the names that it knows */
	if (buf_append_text(&text,
			    "{\"event\":\"certificateRequest\",\"body\":{\"Request\":", err) < 0 ||
	    json_append_string(&text, request, err) < 0 || buf_append_text(&text, "}}", err) < 0)
		return -1;
	return ws_send(link->ws, text.data, text.len, err);
}

static void on_certificate(struct link *link, const json_t *body)
{
	const char *why = json_get_text(body, "error");

	viewer_certificate_answer(link->agent, json_get_text(body, "Certificate"),
				  why ? why : "the broker gave no reason");
}

/* --- requests of the broker --------------------------------------------------------------------
 */

static int append_failure(struct buf *text, json_int_t id, const struct error *failure,
			  struct error *err)
{
	if (buf_printf(text, err, "{\"id\":%lld,\"status\":%d,\"body\":{\"error\":", (long long)id,
		       error_http_status(failure->code)) < 0 ||
	    json_append_string(text, failure->message, err) < 0)
		return -1;
	return buf_printf(text, err, ",\"code\":\"%s\"}}", error_wire_name(failure->code));
}

static int append_success(struct buf *text, json_int_t id, const struct buf *body,
			  struct error *err)
{
	if (buf_printf(text, err, "{\"id\":%lld,\"status\":200,\"body\":", (long long)id) < 0 ||
	    buf_append(text, body->data, body->len, err) < 0)
		return -1;
	return buf_append_text(text, "}", err);
}

/* A reply that is too large for the broker fails by itself, so that the link stays. */
static void send_reply(struct link *link, json_int_t id, const struct buf *body,
		       const struct error *failure)
{
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	if (!link->ws)
		return;
	if (!failure && body->len + 128 > link->message_max_bytes) {
		(void)error_set(&err, ERR_TOO_LARGE, "the answer is larger than %llu bytes",
				link->message_max_bytes);
		send_reply(link, id, NULL, &err);
		return;
	}
	if ((failure ? append_failure(&text, id, failure, &err)
		     : append_success(&text, id, body, &err)) < 0 ||
	    ws_send(link->ws, text.data, text.len, &err) < 0)
		log_error("reply to the broker: %s", err.message);
}

static void log_operation(const struct link_request *request, const struct error *err)
{
	const json_t *context = json_object_get(request->message, "context");
	const char *operation = json_get_text(request->message, "operation");
	const struct operation *op = operation_find_name(operation);
	const struct log_fields fields = {
		.request_id = json_get_text(context, "RequestId"),
		.client = broker.name,
		.operation = operation,
		.session = json_get_text(context, "SessionId"),
		.result = err ? error_wire_name(err->code) : "OK",
		.microseconds = (uv_hrtime() - request->began_ns) / 1000,
	};
	enum log_level level = !err && op && operation_only_reads(op) ? LOG_LEVEL_DEBUG
								      : LOG_LEVEL_INFO;
	char ms[32];

	if (!log_has_level(level))
		return;
	log_format_ms(fields.microseconds, ms, sizeof(ms));
	log_event(level, &fields,
		  "%s of the broker %s%s (request=%s, session=%s, result=%s, ms=%s)", operation,
		  err ? "failed: " : "answered", err ? err->message : "",
		  fields.request_id ? fields.request_id : "", fields.session ? fields.session : "",
		  fields.result, ms);
}

static void count_operation(const struct link_request *request, const struct error *err)
{
	const struct operation *op =
		operation_find_name(json_get_text(request->message, "operation"));

	if (op)
		metrics_count_operation(&request->agent->metrics, op, err != NULL,
					(double)(uv_hrtime() - request->began_ns) / 1e9);
}

static void give(struct answer *answer, struct buf *text, const struct error *err)
{
	struct link_request *request = (struct link_request *)(void *)answer;

	log_operation(request, err);
	count_operation(request, err);
	if (request->owner)
		send_reply(request->owner, request->id, text, err);
	list_remove(&request->link);
	json_decref(request->message);
	free(request);
}

static void on_operation(struct link *link, json_t *message, const char *name)
{
	const struct operation *op = operation_find_name(name);
	struct link_request *request = calloc(1, sizeof(*request));
	struct error err;

	if (!request) {
		log_error("%s from the broker: out of memory", name);
		return;
	}
	request->answer.give = give;
	request->owner = link;
	request->agent = link->agent;
	request->began_ns = uv_hrtime();
	request->id = json_integer_value(json_object_get(message, "id"));
	request->message = json_incref(message);
	list_append(&link->requests, &request->link);
	if (!op) {
		(void)error_set(&err, ERR_UNSUPPORTED, "this agent has no operation %s", name);
		answer_fail(&request->answer, &err);
		return;
	}
	operation_carry_out(&(struct request){
		.agent = link->agent,
		.op = op,
		.caller = &broker,
		.body = json_object_get(message, "body"),
		.context = json_object_get(message, "context"),
		.answer = &request->answer,
	});
}

/* Administrators look for this line, with the answer as JSON, to see that all is well. */
static void on_report_received(struct link *link, const json_t *body)
{
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	link->backoff_ms = BACKOFF_LEAST_MS;
	registration_accepted(link->registration);
	if (json_append(&text, body, &err) == 0)
		log_info("%s", text.data);
}

static void on_hello(struct link *link, const json_t *body)
{
	json_int_t limit = json_integer_value(json_object_get(body, "MessageMaxBytes"));
	json_int_t time_ms = json_integer_value(json_object_get(body, "Time"));

	if (limit > 0 && (unsigned long long)limit < link->message_max_bytes)
		link->message_max_bytes = (unsigned long long)limit;
	viewer_certificate_set_authority(link->agent, json_get_text(body, "Authority"));
	link->agent->clock_skew_ms = time_ms > 0 ? time_now_ms() - time_ms : 0;
	link->agent->has_clock_skew = time_ms > 0;
	if (llabs(link->agent->clock_skew_ms) > LINK_CLOCK_SKEW_MOST_MS)
		log_warning("the clock of this host is %lld s off the broker's",
			    link->agent->clock_skew_ms / 1000);
}

int link_take_message(struct link *link, const char *text, size_t len, struct error *err)
{
	json_auto_t *message = NULL;
	const char *operation, *event;

	if (json_parse(text, len, &message, err) < 0)
		return -1;
	operation = json_get_text(message, "operation");
	event = json_get_text(message, "event");
	if (operation)
		on_operation(link, message, operation);
	else if (event && strcmp(event, "hello") == 0)
		on_hello(link, json_object_get(message, "body"));
	else if (event && strcmp(event, "reportReceived") == 0)
		on_report_received(link, json_object_get(message, "body"));
	else if (event && strcmp(event, "certificate") == 0)
		on_certificate(link, json_object_get(message, "body"));
	else
		log_warning("unknown message from the broker: %s", event ? event : "no event");
	return 0;
}

static void on_message(struct ws *ws, const char *text, size_t len, void *userdata)
{
	struct error err;

	(void)userdata;
	if (link_take_message(ws_user(ws), text, len, &err) == 0)
		return;
	log_error("message from the broker: %s", err.message);
	ws_close(ws, LWS_CLOSE_STATUS_INVALID_PAYLOAD, "not JSON");
}

/* --- up and down -------------------------------------------------------------------------------
 */

static void retry_later(struct link *link)
{
	/* ±20 %, so that a thousand agents do not come back at the same moment */
	unsigned long long ms = link->backoff_ms * (80 + random_number(41)) / 100;

	timer_start(link->reconnect_timer, ms, 0);
	link->backoff_ms = link->backoff_ms * 2 < BACKOFF_MOST_MS ? link->backoff_ms * 2
								  : BACKOFF_MOST_MS;
}

static void on_open(struct ws *ws, const char *authorization, void *userdata)
{
	struct link *link = ws_user(ws);

	(void)authorization;
	(void)userdata;
	log_info("linked to the broker %s port %lld", link->agent->config->broker_host,
		 link->agent->config->broker_port);
	link->ws = ws;
	link->agent->is_linked = true;
	link->agent->broker_certificate_end_s = http_client_certificate_end(link->client);
	link->message_max_bytes = LINK_MESSAGE_MAX_BYTES;
	send_report(link);
}

static void on_close(struct ws *ws, const char *why, void *userdata)
{
	struct link *link = ws_user(ws);

	(void)userdata;
	link->ws = NULL;
	link->agent->is_linked = false;
	viewer_certificate_unlink(link->agent);
	/* the requests go on; their answers have nowhere to go */
	list_for_each_safe (request, &link->requests, struct link_request, link) {
		request->owner = NULL;
		list_remove(&request->link);
	}
	if (link->agent->loop->is_stopping)
		return;
	log_warning("link to the broker lost: %s", why);
	(void)error_set(&link->agent->link_trouble, ERR_UNREACHABLE, "%s", why);
	timer_stop(link->report_timer);
	retry_later(link);
}

static const struct ws_handler handler = {
	.protocol = LINK_PROTOCOL,
	.message_max_bytes = LINK_MESSAGE_MAX_BYTES,
	.queue_max_bytes = 2 * LINK_MESSAGE_MAX_BYTES,
	.open = on_open,
	.message = on_message,
	.close = on_close,
};

static void tell_trouble(struct link *link, const struct error *err)
{
	link->agent->link_trouble = *err;
	log_warning("cannot link to the broker: %s", err->message);
}

static void on_failed(int status, const struct error *err, void *userdata)
{
	struct link *link = userdata;

	tell_trouble(link, err);
	if (status == 401 || status == 403)
		registration_refused(link->registration);
	retry_later(link);
}

static void on_token(const char *token, const struct error *failure, void *userdata)
{
	struct link *link = userdata;
	const struct agent_config *config = link->agent->config;
	AUTO(buf_done) struct buf authorization = {0};
	struct http_client_request request = {
		.host = config->broker_host, .port = (int)config->broker_port, .path = LINK_PATH};
	struct error err;

	if (!token) {
		tell_trouble(link, failure);
		retry_later(link);
		return;
	}
	if (buf_printf(&authorization, &err, "Bearer %s", token) == 0) {
		request.authorization = authorization.data;
		if (http_client_connect(link->client, &request, on_failed, link, &err) == 0)
			return;
	}
	on_failed(0, &err, link);
}

/* The broker's authority may have been followed by the next one since we started. */
static void connect_now(void *userdata)
{
	struct link *link = userdata;
	struct error err;

	if (http_client_refresh(link->client, &err) < 0)
		log_warning("the broker's authority is the one of before: %s", err.message);
	registration_get_token(link->registration, on_token, link);
}

void link_start(struct link *link)
{
	connect_now(link);
}

static int build(struct link *link, const char *state_folder, struct error *err)
{
	const struct agent_config *config = link->agent->config;
	const struct http_client_options options = {
		.ca_file = config->ca_file, .is_strict = config->tls_strict, .ws = &handler};

	link->client = http_client_new(link->agent->loop, &options, err);
	if (!link->client)
		return -1;
	link->registration = registration_new(config, link->client, state_folder,
					      link->agent->server.hostname, err);
	link->reconnect_timer = timer_new(link->agent->loop, connect_now, link);
	link->report_timer = timer_new(link->agent->loop, send_report, link);
	if (!link->registration)
		return -1;
	return link->reconnect_timer && link->report_timer ? 0 : error_oom(err);
}

struct link *link_new(struct agent *agent, const char *state_folder, struct error *err)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link) {
		(void)error_oom(err);
		return NULL;
	}
	link->agent = agent;
	link->backoff_ms = BACKOFF_LEAST_MS;
	list_init(&link->requests);
	boot_read_id(link->boot_id);
	if (build(link, state_folder, err) < 0) {
		link_stop(link);
		link_free(link);
		return NULL;
	}
	return link;
}

void link_stop(struct link *link)
{
	if (!link)
		return;
	timer_free(link->reconnect_timer);
	timer_free(link->report_timer);
	link->reconnect_timer = NULL;
	link->report_timer = NULL;
}

void link_free(struct link *link)
{
	if (!link)
		return;
	registration_free(link->registration);
	http_client_free(link->client);
	free(link);
}
