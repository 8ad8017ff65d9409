/* Sessions of our own: each is held by a keeper, a root process that we talk to over a Unix socket.
 *
 * A part goes through these ways:
 *   create   connect to the listener, "start"; the keeper that answers is the session's
 *   adopt    connect to RUN_DIR/NUMBER/control of a keeper that was there before us
 *   lost     the connection broke without a last word: connect to the control socket again; when
 *            nobody listens there, the keeper was killed, and a fresh one is told to clean up
 * It ends with the keeper's last word, or when its folder is gone. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/engines/capture.h"
#include "agent/engines/engine.h"
#include "agent/keeper/protocol.h"
#include "agent/packet-socket.h"
#include "agent/render-node.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/log.h"
#include "common/number.h"

#define RETRY_MS 50         /* the listener's queue is full */
#define RECONNECT_MS 1000   /* the listener is not there, or does not do what it is told */
#define ABSENT_MAX 20       /* RETRY_MS each: a keeper takes less to make a folder, or remove it */
#define UNANSWERED_MAX 3    /* a listener that only hangs up will not begin a session */
#define ADOPT_LIMIT_MS 3000 /* a keeper that says nothing does not hold up the agent's start */

struct x11_engine {
	struct engine engine; /* first */
	struct loop *loop;
	const struct agent_config *config;
	const char *keeper_socket, *run_dir;
	struct engine_events events;
	struct list parts;    /* struct engine_session::link */
	unsigned n_searching; /* parts that were found and have not said who they are */
	bool is_searched;
};

enum step {
	STEP_START,    /* "start" is to be said to the listener */
	STEP_CONTROL,  /* the control socket of `number` is to be connected */
	STEP_CLEAN,    /* "clean" is to be said to the listener */
	STEP_CONNECTED /* talking to the keeper */
};

struct engine_session {
	struct list link; /* x11_engine::parts */
	struct x11_engine *engine;
	struct session *session; /* NULL while it is not known who it is */
	enum step step;
	long long number; /* of its folder in RUN_DIR; -1: not known yet */
	int n_absent;     /* tries that found its folder without a control socket */
	int n_unanswered; /* orders to start after which the connection was closed */
	struct packet_socket *socket;
	struct timer *timer; /* for the next try, or the limit of adoption */
	struct capture *capture;
	struct list wishes; /* struct connection_wish::link */
	unsigned long long n_wishes;
	bool is_searching;
	char *render_node; /* the GPU that it has; NULL: none */
	char *end_reason;  /* it is to end; said to the keeper at the next connection */
};

static void advance(struct engine_session *part);

/* --- parts -------------------------------------------------------------------------------------
 */

static void stop_searching(struct engine_session *part)
{
	struct x11_engine *x11 = part->engine;

	if (!part->is_searching)
		return;
	part->is_searching = false;
	if (--x11->n_searching == 0 && x11->is_searched)
		x11->events.searched(x11->events.userdata);
}

static void fail_wishes(struct engine_session *part, const char *why)
{
	struct error err;

	(void)error_set(&err, ERR_UNAVAILABLE, "%s", why);
	list_for_each_safe (wish, &part->wishes, struct connection_wish, link) {
		list_remove(&wish->link);
		wish->give(wish, -1, &err);
	}
}

static void part_free(struct engine_session *part)
{
	if (part->session)
		part->session->part = NULL;
	fail_wishes(part, "the session has ended");
	list_remove(&part->link);
	packet_socket_free(part->socket);
	timer_free(part->timer);
	capture_free(part->capture);
	free(part->render_node);
	free(part->end_reason);
	free(part);
}

/* Its last word: nothing of the session is left. */
static void part_end(struct engine_session *part, const char *reason, enum error_code code)
{
	struct x11_engine *x11 = part->engine;
	struct session *session = part->session;

	stop_searching(part);
	if (part->end_reason) { /* whoever ended it has told why */
		reason = NULL;
		code = ERR_NONE;
	}
	part_free(part);
	if (!session)
		return;
	x11->events.ended(session, reason, code, x11->events.userdata);
}

static void on_timer(void *userdata)
{
	struct engine_session *part = userdata;

	if (part->socket && part->is_searching) {
		log_warning("keeper %lld does not say whose session it keeps", part->number);
		stop_searching(part);
		return;
	}
	advance(part);
}

static int on_capture_wanted(void *userdata, struct error *err);

static struct engine_session *part_new(struct x11_engine *x11, struct error *err)
{
	struct engine_session *part = calloc(1, sizeof(*part));

	if (part)
		part->timer = timer_new(x11->loop, on_timer, part);
	if (!part || !part->timer) {
		free(part);
		(void)error_oom(err);
		return NULL;
	}
	part->engine = x11;
	part->number = -1;
	list_init(&part->wishes);
	list_append(&x11->parts, &part->link);
	return part;
}

/* --- what we say -------------------------------------------------------------------------------
 */

static int send_text(struct engine_session *part, const char *operation, const char *name,
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

static int send_start(struct engine_session *part, struct error *err)
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

static void say_end(struct engine_session *part)
{
	struct error err;

	if (part->end_reason && part->step == STEP_CONNECTED &&
	    send_text(part, "stop", "REASON", part->end_reason, &err) < 0)
		log_warning("keeper %lld: %s", part->number, err.message);
}

static int on_capture_wanted(void *userdata, struct error *err)
{
	struct engine_session *part = userdata;

	if (part->step != STEP_CONNECTED)
		return error_set(err, ERR_UNAVAILABLE, FAILURE_NOT_READY_SCREENSHOT);
	return send_text(part, "capture", "TAG", "1", err);
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
		part_free(other);
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
		part_end(part, "the session's keeper is gone", ERR_NONE);
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
		stop_searching(part);
		part_free(part);
		return;
	}
	replace_part(part);
	on_status(part->session, "init", message_get(message, "INIT"));
	on_status(part->session, "autorun", message_get(message, "AUTORUN"));
	session_set_account(part->session, message_get(message, "ACCOUNT"));
	if (state && strcmp(state, "ready") == 0)
		on_ready(part);
	else if (state && strcmp(state, "ending") == 0)
		x11->events.ending(part->session, reason, x11->events.userdata);
	stop_searching(part);
	say_end(part);
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
	long long number;
	struct error err;

	if (!tag || !number_parse(tag, 0, INT64_MAX, &number))
		return;
	(void)error_set(&err, ERR_UNAVAILABLE, "%s", reason ? reason : "no connection");
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
		stop_searching(part);
		timer_start(part->timer, RECONNECT_MS, 0);
	} else if (part->number < 0 && number &&
		   number_parse(number, 0, 1000000000, &part->number)) {
		part->step = STEP_CONTROL;
		advance(part);
	} else {
		/* a keeper of another release may tell no code, or one that we do not know */
		part_end(part, reason, error_find_wire_name(message_get(message, "CODE")));
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
	else if (strcmp(event, "ready") == 0 && part->session)
		on_ready(part);
	else if (strcmp(event, "exited") == 0 && part->session)
		on_status(part->session, message_get(message, "PROGRAM"),
			  message_get(message, "STATUS"));
	else if (strcmp(event, "ending") == 0 && part->session)
		on_ending(part, message);
	else if (strcmp(event, "capture") == 0)
		on_capture(part, message, fd);
	else if (strcmp(event, "connect") == 0)
		on_connection(part, message, fd);
	else if (strcmp(event, "usage") == 0 && part->session)
		on_usage(part, message);
	else if (strcmp(event, "failed") == 0)
		on_refused(part, message);
	else if (strcmp(event, "ended") == 0)
		part_end(part, reason, ERR_NONE);
	else if (strcmp(event, "cleaned") == 0)
		part_end(part, "the session's keeper was killed", ERR_NONE);
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
	fail_wishes(part, "the connection to the session's keeper was lost");
	if (part->step == STEP_START && ++part->n_unanswered == UNANSWERED_MAX) {
		part_end(part, "session keeper: the connection is closed without an answer",
			 ERR_UNREACHABLE);
		return;
	}
	timer_start(part->timer, part->step == STEP_CONTROL ? RETRY_MS : RECONNECT_MS, 0);
}

static const struct packet_socket_handler handler = {on_packet, on_closed};

/* --- the steps ---------------------------------------------------------------------------------
 */

static int connect_to(struct engine_session *part, const char *path, struct error *err)
{
	packet_socket_free(part->socket);
	part->socket = packet_socket_connect(part->engine->loop, path, &handler, part, err);
	return part->socket ? 0 : -1;
}

static int step_start(struct engine_session *part, struct error *err)
{
	if (connect_to(part, part->engine->keeper_socket, err) < 0)
		return error_blame_host(err);
	if (send_start(part, err) < 0)
		return -1;
	part->step = STEP_CONNECTED;
	return 0;
}

static int step_control(struct engine_session *part, struct error *err)
{
	char path[108];

	if (snprintf(path, sizeof(path), "%s/%lld/" KEEPER_CONTROL_SOCKET, part->engine->run_dir,
		     part->number) >= (int)sizeof(path))
		return error_set(err, ERR_CONFIG, "%s is too long for a socket's path",
				 part->engine->run_dir);
	if (connect_to(part, path, err) < 0)
		return -1;
	part->step = STEP_CONNECTED;
	return 0;
}

static int step_clean(struct engine_session *part, struct error *err)
{
	char number[24];

	(void)snprintf(number, sizeof(number), "%lld", part->number);
	if (connect_to(part, part->engine->keeper_socket, err) < 0 ||
	    send_text(part, "clean", "NUMBER", number, err) < 0)
		return -1;
	return 0;
}

static bool has_folder(const struct engine_session *part)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%lld", part->engine->run_dir, part->number) <
		       (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

/* A control socket that nobody listens on is a killed keeper's, and so is a folder that stays
 * without one. Without the folder the session is over. Everything else is worth another try. */
static void on_step_failed(struct engine_session *part, const struct error *err)
{
	bool is_absent = part->step == STEP_CONTROL && err->code == ERR_NOT_FOUND &&
			 has_folder(part);

	if (is_absent && ++part->n_absent < ABSENT_MAX) {
		timer_start(part->timer, RETRY_MS, 0);
	} else if (is_absent || (part->step == STEP_CONTROL && err->code == ERR_UNREACHABLE)) {
		part->step = STEP_CLEAN;
		advance(part);
	} else if (part->step == STEP_CONTROL && err->code == ERR_NOT_FOUND) {
		part_end(part, NULL, ERR_NONE);
	} else if (part->step == STEP_START && err->code != ERR_UNAVAILABLE) {
		part_end(part, err->message, err->code);
	} else {
		if (err->code != ERR_UNAVAILABLE)
			log_warning("keeper of session %s: %s",
				    part->session ? part->session->id : "?", err->message);
		/* the agent's start does not wait for a listener that is not there */
		stop_searching(part);
		timer_start(part->timer, err->code == ERR_UNAVAILABLE ? RETRY_MS : RECONNECT_MS, 0);
	}
}

static void advance(struct engine_session *part)
{
	struct error err = {0};
	int result = 0;

	switch (part->step) {
	case STEP_START:
		result = step_start(part, &err);
		break;
	case STEP_CONTROL:
		result = step_control(part, &err);
		break;
	case STEP_CLEAN:
		result = step_clean(part, &err);
		break;
	case STEP_CONNECTED:
		break;
	}
	if (result < 0)
		on_step_failed(part, &err);
	else if (part->is_searching && part->socket)
		timer_start(part->timer, ADOPT_LIMIT_MS, 0);
}

/* --- the engine --------------------------------------------------------------------------------
 */

static void search_number(struct x11_engine *x11, long long number)
{
	struct error err;
	struct engine_session *part = part_new(x11, &err);

	if (!part) {
		log_error("keeper %lld cannot be adopted: %s", number, err.message);
		return;
	}
	part->number = number;
	part->step = STEP_CONTROL;
	part->is_searching = true;
	x11->n_searching++;
	advance(part);
}

static int search(struct engine *engine, struct error *err)
{
	struct x11_engine *x11 = (struct x11_engine *)(void *)engine;
	DIR *folder = opendir(x11->run_dir);
	const struct dirent *entry;
	long long number;

	while (folder && (entry = readdir(folder))) {
		if (number_parse(entry->d_name, 0, 1000000000, &number))
			search_number(x11, number);
	}
	if (folder)
		(void)closedir(folder);
	else if (errno != ENOENT)
		return error_errno(err, "look for sessions in %s", x11->run_dir);
	x11->is_searched = true;
	if (x11->n_searching == 0)
		x11->events.searched(x11->events.userdata);
	return 0;
}

/* Whether somebody listens, without bothering them: a socket of another type is refused for its type
 * where there is a listener, and otherwise because there is none. */
static int check(struct engine *engine, struct error *err)
{
	const struct x11_engine *x11 = (struct x11_engine *)(void *)engine;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO(close_p) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0; /* which says nothing about the keepers */
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", x11->keeper_socket);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
	    errno == EPROTOTYPE)
		return 0;
	return error_errno(err, "session keeper: connect to %s", x11->keeper_socket);
}

static long long n_users(const char *render_node, void *userdata)
{
	const struct x11_engine *x11 = userdata;
	long long n = 0;

	list_for_each (part, &x11->parts, struct engine_session, link)
		n += part->render_node && strcmp(part->render_node, render_node) == 0;
	return n;
}

static int assign_gpu(struct engine_session *part, struct error *err)
{
	struct x11_engine *x11 = part->engine;

	if (render_node_choose(x11->config->gl_render_nodes, n_users, x11, &part->render_node,
			       err) < 0)
		return -1;
	log_info("session %s has the GPU %s (sessions=%lld)", part->session->id, part->render_node,
		 n_users(part->render_node, x11));
	return 0;
}

static int create(struct engine *engine, struct session *session, struct error *err)
{
	struct x11_engine *x11 = (struct x11_engine *)(void *)engine;
	struct engine_session *part;

	part = part_new(x11, err);
	if (!part)
		return -1;
	part->session = session;
	part->step = STEP_START;
	if (session->is_gl_wanted && assign_gpu(part, err) < 0) {
		part_free(part);
		return -1;
	}
	if (step_start(part, err) < 0 && err->code != ERR_UNAVAILABLE) {
		part_free(part);
		return error_prefix(err, "session keeper");
	}
	session->part = part;
	if (part->step == STEP_START)
		timer_start(part->timer, RETRY_MS, 0);
	return 0;
}

static void end(struct engine *engine, struct session *session, const char *reason)
{
	struct engine_session *part = session->part;

	(void)engine;
	if (!part->end_reason)
		part->end_reason = strdup(reason);
	say_end(part);
}

static void screenshot(struct engine *engine, struct session *session,
		       const struct screenshot_wish *wish, struct answer *answer)
{
	struct engine_session *part = session->part;
	struct error err;

	(void)engine;
	if (part && !part->capture)
		part->capture =
			capture_new(part->engine->loop, session->id, on_capture_wanted, part);
	if (part && part->capture) {
		capture_request(part->capture, wish, answer);
		return;
	}
	(void)error_set(&err, ERR_CONFLICT, FAILURE_NOT_READY_SCREENSHOT);
	answer_fail(answer, &err);
}

static void connect_for(struct engine *engine, struct session *session,
			struct connection_wish *wish)
{
	struct engine_session *part = session->part;
	char tag[24];
	struct error err;

	(void)engine;
	if (!part || part->step != STEP_CONNECTED) {
		(void)error_set(&err, ERR_UNAVAILABLE, "the session's keeper cannot be reached");
		wish->give(wish, -1, &err);
		return;
	}
	wish->number = part->n_wishes++;
	list_append(&part->wishes, &wish->link);
	(void)snprintf(tag, sizeof(tag), "%llu", wish->number);
	if (send_text(part, "connect", "TAG", tag, &err) == 0)
		return;
	list_remove(&wish->link);
	wish->give(wish, -1, &err);
}

static void usage(struct engine *engine, struct session *session)
{
	struct engine_session *part = session->part;
	struct error err;

	(void)engine;
	if (part && part->step == STEP_CONNECTED && send_text(part, "usage", NULL, NULL, &err) < 0)
		log_warning("keeper %lld: %s", part->number, err.message);
}

static int notify(struct engine *engine, struct session *session, const char *text,
		  struct error *err)
{
	struct engine_session *part = session->part;

	(void)engine;
	if (!part || part->step != STEP_CONNECTED)
		return error_set(err, ERR_UNAVAILABLE, "there is no connection to its keeper");
	return send_text(part, "notify", "TEXT", text, err);
}

static void engine_free(struct engine *engine)
{
	struct x11_engine *x11 = (struct x11_engine *)(void *)engine;

	list_for_each_safe (part, &x11->parts, struct engine_session, link)
		part_free(part);
	engine_status_done(&x11->engine.status);
	free(x11);
}

static const struct engine_ops ops = {
	.name = "x11",
	.search = search,
	.check = check,
	.create = create,
	.end = end,
	.screenshot = screenshot,
	.connect = connect_for,
	.usage = usage,
	.notify = notify,
	.free = engine_free,
};

struct engine *x11_engine_new(const struct x11_options *options, struct error *err)
{
	struct x11_engine *x11 = calloc(1, sizeof(*x11));
	char *version = strdup(VERSION);

	if (!x11 || !version) {
		free(version);
		free(x11);
		(void)error_oom(err);
		return NULL;
	}
	x11->engine.status.version = version;
	x11->engine.ops = &ops;
	x11->loop = options->loop;
	x11->config = options->config;
	x11->keeper_socket = options->keeper_socket;
	x11->run_dir = options->keeper_run_dir;
	x11->events = options->events;
	list_init(&x11->parts);
	return &x11->engine;
}
