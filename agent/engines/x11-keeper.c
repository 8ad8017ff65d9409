#include "agent/engines/x11.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/protocol.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/log.h"
#include "common/number.h"

#define UNANSWERED_MAX 3 /* a listener that only hangs up will not begin a session */

/* --- what we say -------------------------------------------------------------------------------
 */

int x11_send_text(struct engine_session *part, const char *operation, const char *name,
		  const char *value, struct error *err)
{
	AUTO(buf_done) struct buf packet = {0};

	if (message_add(&packet, "OPERATION", operation, err) < 0 ||
	    (value && message_add(&packet, name, value, err) < 0))
		return -1;
	return packet_socket_send(part->socket, &packet, err);
}

static bool is_console(const struct session *s)
{
	return strcmp(s->type, "CONSOLE") == 0;
}

int x11_send_start(struct engine_session *part, struct error *err)
{
	const struct session *s = part->session;
	AUTO(buf_done) struct buf packet = {0};

	if (message_add(&packet, "OPERATION", "start", err) < 0 ||
	    message_add(&packet, "SESSION_ID", s->id, err) < 0 ||
	    message_add(&packet, "OWNER", s->owner, err) < 0 ||
	    (is_console(s) && message_add(&packet, "TYPE", "console", err) < 0) ||
	    (s->init_file && message_add(&packet, "INIT_FILE", s->init_file, err) < 0) ||
	    (s->autorun_file && message_add(&packet, "AUTORUN_FILE", s->autorun_file, err) < 0))
		return -1;
	for (size_t i = 0; i < json_array_size(s->autorun_arguments); i++) {
		if (message_add(&packet, "ARGUMENT",
				json_string_value(json_array_get(s->autorun_arguments, i)),
				err) < 0)
			return -1;
	}
	if (part->render_node && message_add(&packet, "RENDER_NODE", part->render_node, err) < 0)
		return -1;
	if (packet.len > KEEPER_MESSAGE_MAX_BYTES)
		return error_set(err, ERR_TOO_LARGE,
				 "the arguments of the autorun file are larger "
				 "than %d bytes in all",
				 KEEPER_MESSAGE_MAX_BYTES);
	return packet_socket_send(part->socket, &packet, err);
}

void x11_say_end(struct engine_session *part)
{
	struct error err;

	if (part->end_reason && part->step == STEP_CONNECTED &&
	    x11_send_text(part, "stop", "REASON", part->end_reason, &err) < 0)
		log_warning("keeper %lld: %s", part->number, err.message);
}

int x11_want_capture(void *userdata, struct error *err)
{
	struct engine_session *part = userdata;

	if (part->step != STEP_CONNECTED)
		return error_set(err, ERR_UNAVAILABLE, FAILURE_NOT_READY_SCREENSHOT);
	return x11_send_text(part, "capture", "TAG", "1", err);
}

/* --- what the keeper says ----------------------------------------------------------------------
 */

/* The session may have been ordered anew while its keeper was slow to say that it lives: that order
 * can only be refused, and whoever waits for it waits for this one. */
static void replace_part(struct engine_session *part)
{
	struct engine_session *other = part->session->part;

	if (other && other != part) {
		if (!part->end_reason)
			part->end_reason = TAKE(other->end_reason);
		x11_part_free(other);
	}
	part->session->part = part;
}

/* How a program of the session has ended; @status NULL: it has not, as far as is known. */
static void on_status(struct session *session, const char *program, const char *status)
{
	if (program && status && strcmp(program, "init") == 0)
		session_set_status(&session->init_status, status);
	else if (program && status && strcmp(program, "autorun") == 0)
		session_set_status(&session->autorun_status, status);
}

static void on_starting(struct engine_session *part)
{
	part->engine->events.starting(part->session, part->engine->events.userdata);
}

static void on_ready(struct engine_session *part)
{
	struct session *session = part->session;

	if (!session->init_status)
		session_set_status(&session->init_status, SESSION_STATUS_RUNNING);
	if (session->autorun_file && !session->autorun_status)
		session_set_status(&session->autorun_status, SESSION_STATUS_RUNNING);
	part->engine->events.ready(session, part->engine->events.userdata);
}

/* The keeper knows it: we may have forgotten, or have chosen anew for an order that had its effect
 * before. Without memory the GPU counts as less used. */
static void note_render_node(struct engine_session *part, const char *path)
{
	if (!path)
		return;
	free(part->render_node);
	part->render_node = strdup(path);
}

static void on_state(struct engine_session *part, const struct message *message)
{
	struct x11_engine *x11 = part->engine;
	const char *reason = message_get(message, "REASON");
	const char *id = message_get(message, "SESSION_ID"), *owner = message_get(message, "OWNER");
	const char *number = message_get(message, "NUMBER");
	const char *type = message_get(message, "TYPE");
	const char *state = message_get(message, "STATE");

	if (number)
		(void)number_parse(number, 0, 1000000000, &part->number);
	note_render_node(part, message_get(message, "RENDER_NODE"));
	if (part->session && id && strcmp(id, part->session->id) != 0) {
		/* its number is another's now */
		x11_part_end(part, "the session's keeper is gone", ERR_NONE);
		return;
	}
	if (!part->session && id && owner) {
		const struct found_session found = {
			.id = id,
			.owner = owner,
			.type = type && strcmp(type, "console") == 0 ? "CONSOLE" : "VIRTUAL",
			.name = ""};

		part->session = x11->events.found(&found, x11->events.userdata);
		timer_stop(part->timer);
	}
	if (!part->session) {
		x11_part_stop_searching(part);
		x11_part_free(part);
		return;
	}
	replace_part(part);
	part->session->serves_files = message_get(message, "FILES") != NULL;
	on_status(part->session, "init", message_get(message, "INIT"));
	on_status(part->session, "autorun", message_get(message, "AUTORUN"));
	session_set_account(part->session, message_get(message, "ACCOUNT"));
	if (state && strcmp(state, "starting") == 0)
		on_starting(part);
	else if (state && strcmp(state, "ready") == 0)
		on_ready(part);
	else if (state && strcmp(state, "ending") == 0)
		x11->events.ending(part->session, reason, x11->events.userdata);
	x11_part_stop_searching(part);
	x11_say_end(part);
}

static void on_capture(struct engine_session *part, const struct message *message, int *fd)
{
	const char *reason = message_get(message, "REASON");

	if (!part->capture)
		return;
	if (*fd >= 0)
		capture_connected(part->capture, TAKE_FD(*fd));
	else
		capture_failed(part->capture, reason ? reason : "no capture program");
}

/* A wish that nobody has any more leaves its descriptor to be closed. */
static void on_connection(struct engine_session *part, const struct message *message, int *fd)
{
	const char *tag = message_get(message, "TAG"), *reason = message_get(message, "REASON");
	enum error_code code = error_find_wire_name(message_get(message, "CODE"));
	long long number;
	struct error err;

	if (!tag || !number_parse(tag, 0, INT64_MAX, &number))
		return;
	(void)error_set(&err, code != ERR_NONE ? code : ERR_UNAVAILABLE, "%s",
			reason ? reason : "no connection");
	list_for_each_safe (wish, &part->wishes, struct connection_wish, link) {
		if (wish->number != (unsigned long long)number)
			continue;
		list_remove(&wish->link);
		wish->give(wish, *fd < 0 ? -1 : TAKE_FD(*fd), &err);
		return;
	}
}

/* An order was refused: to start, because an earlier one had its effect, which is the session; to
 * clean, because the keeper lives after all or something is left that does not end. */
static void on_refused(struct engine_session *part, const struct message *message)
{
	const char *reason = message_get(message, "REASON");
	const char *number = message_get(message, "NUMBER");

	if (part->step == STEP_CLEAN) {
		log_warning("keeper %lld: %s", part->number, reason ? reason : "not cleaned");
		packet_socket_free(part->socket);
		part->socket = NULL;
		part->step = STEP_CONTROL;
		x11_part_stop_searching(part);
		timer_start(part->timer, X11_RECONNECT_MS, 0);
	} else if (part->number < 0 && number &&
		   number_parse(number, 0, 1000000000, &part->number)) {
		part->step = STEP_CONTROL;
		x11_part_advance(part);
	} else {
		/* a keeper of another release may tell no code, or one that we do not know */
		x11_part_end(part, reason, error_find_wire_name(message_get(message, "CODE")));
	}
}

static void on_ending(struct engine_session *part, const struct message *message)
{
	struct x11_engine *x11 = part->engine;
	const char *left = message_get(message, "LEFT");

	if (left)
		(void)number_parse(left, 0, INT32_MAX, &part->session->n_leaked);
	x11->events.ending(part->session, message_get(message, "REASON"), x11->events.userdata);
}

static void on_usage(struct engine_session *part, const struct message *message)
{
	const char *text = message_get(message, "CPU_MS");
	long long cpu_ms = -1;

	if (text)
		(void)number_parse(text, 0, LLONG_MAX / 1000, &cpu_ms);
	part->engine->events.used(part->session, cpu_ms, part->engine->events.userdata);
}

static void on_packet(const struct message *message, int *fd, void *userdata)
{
	struct engine_session *part = userdata;
	const char *event = message_get(message, "EVENT");
	const char *reason = message_get(message, "REASON");

	if (!event)
		log_warning("keeper %lld: a message without event", part->number);
	else if (strcmp(event, "state") == 0)
		on_state(part, message);
	else if (strcmp(event, "starting") == 0 && part->session)
		on_starting(part);
	else if (strcmp(event, "ready") == 0 && part->session)
		on_ready(part);
	else if (strcmp(event, "exited") == 0 && part->session)
		on_status(part->session, message_get(message, "PROGRAM"),
			  message_get(message, "STATUS"));
	else if (strcmp(event, "ending") == 0 && part->session)
		on_ending(part, message);
	else if (strcmp(event, "capture") == 0)
		on_capture(part, message, fd);
	else if (strcmp(event, "connect") == 0 || strcmp(event, "files") == 0)
		on_connection(part, message, fd);
	else if (strcmp(event, "usage") == 0 && part->session)
		on_usage(part, message);
	else if (strcmp(event, "failed") == 0)
		on_refused(part, message);
	else if (strcmp(event, "ended") == 0)
		x11_part_end(part, reason, ERR_NONE);
	else if (strcmp(event, "cleaned") == 0)
		x11_part_end(part, "the session's keeper was killed", ERR_NONE);
	else
		log_warning("keeper %lld: unknown event '%s'", part->number, event);
}

static void on_closed(const struct error *why, void *userdata)
{
	struct engine_session *part = userdata;

	packet_socket_free(part->socket);
	part->socket = NULL;
	log_info("connection to keeper %lld of session %s lost: %s", part->number,
		 part->session ? part->session->id : "?", why->message);
	/* A start that was never answered is ordered again: if the first order did have an effect,
	 * the session exists already, and the keeper says so. */
	if (part->step == STEP_CONNECTED)
		part->step = part->number >= 0 ? STEP_CONTROL : STEP_START;
	if (part->capture)
		capture_failed(part->capture, "the connection to the session's keeper was lost");
	x11_part_fail_wishes(part, "the connection to the session's keeper was lost");
	if (part->step == STEP_START && ++part->n_unanswered == UNANSWERED_MAX) {
		x11_part_end(part, "session keeper: the connection is closed without an answer",
			     ERR_UNREACHABLE);
		return;
	}
	timer_start(part->timer, part->step == STEP_CONTROL ? X11_RETRY_MS : X11_RECONNECT_MS, 0);
}

const struct packet_socket_handler x11_keeper_handler = {on_packet, on_closed};
