/* Sessions of our own: each is held by a keeper, a root process that we talk to over a Unix socket.
 *
 * A part goes through these ways:
 *   create   connect to the listener, "start"; the keeper that answers is the session's
 *   adopt    connect to RUN_DIR/NUMBER/control of a keeper that was there before us
 *   lost     the connection broke without a last word: connect to the control socket again; when
 *            nobody listens there, the keeper was killed, and a fresh one is told to clean up
 * It ends with the keeper's last word, or when its folder is gone. */
#include "agent/engines/x11.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/render-node.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/log.h"
#include "common/number.h"

static void search_number(struct x11_engine *x11, long long number)
{
	struct error err;
	struct engine_session *part = x11_part_new(x11, &err);

	if (!part) {
		log_error("keeper %lld cannot be adopted: %s", number, err.message);
		return;
	}
	part->number = number;
	part->step = STEP_CONTROL;
	part->is_searching = true;
	x11->n_searching++;
	x11_part_advance(part);
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

	part = x11_part_new(x11, err);
	if (!part)
		return -1;
	part->session = session;
	part->step = STEP_START;
	if (session->is_gl_wanted && assign_gpu(part, err) < 0) {
		x11_part_free(part);
		return -1;
	}
	if (x11_part_start(part, err) < 0 && err->code != ERR_UNAVAILABLE) {
		x11_part_free(part);
		return error_prefix(err, "session keeper");
	}
	session->part = part;
	if (part->step == STEP_START)
		timer_start(part->timer, X11_RETRY_MS, 0);
	return 0;
}

static void end(struct engine *engine, struct session *session, const char *reason)
{
	struct engine_session *part = session->part;

	(void)engine;
	if (!part->end_reason)
		part->end_reason = strdup(reason);
	x11_say_end(part);
}

static void screenshot(struct engine *engine, struct session *session,
		       const struct screenshot_wish *wish, struct answer *answer)
{
	struct engine_session *part = session->part;
	struct error err;

	(void)engine;
	if (part && !part->capture)
		part->capture =
			capture_new(part->engine->loop, session->id, x11_want_capture, part);
	if (part && part->capture) {
		capture_request(part->capture, wish, answer);
		return;
	}
	(void)error_set(&err, ERR_CONFLICT, FAILURE_NOT_READY_SCREENSHOT);
	answer_fail(answer, &err);
}

static int send_wish(struct engine_session *part, const struct connection_wish *wish,
		     struct error *err)
{
	AUTO(buf_done) struct buf packet = {0};
	char tag[24];

	(void)snprintf(tag, sizeof(tag), "%llu", wish->number);
	if (message_add(&packet, "OPERATION", wish->folder ? "files" : "connect", err) < 0 ||
	    message_add(&packet, "TAG", tag, err) < 0 ||
	    (wish->folder && message_add(&packet, "FOLDER", wish->folder, err) < 0))
		return -1;
	return packet_socket_send(part->socket, &packet, err);
}

static void connect_for(struct engine *engine, struct session *session,
			struct connection_wish *wish)
{
	struct engine_session *part = session->part;
	struct error err;

	(void)engine;
	if (!part || part->step != STEP_CONNECTED) {
		(void)error_set(&err, ERR_UNAVAILABLE, "the session's keeper cannot be reached");
		wish->give(wish, -1, &err);
		return;
	}
	if (wish->folder && !session->serves_files) {
		(void)error_set(&err, ERR_UNSUPPORTED,
				"the session's keeper is of a release that serves no files");
		wish->give(wish, -1, &err);
		return;
	}
	wish->number = part->n_wishes++;
	list_append(&part->wishes, &wish->link);
	if (send_wish(part, wish, &err) == 0)
		return;
	list_remove(&wish->link);
	wish->give(wish, -1, &err);
}

static void usage(struct engine *engine, struct session *session)
{
	struct engine_session *part = session->part;
	struct error err;

	(void)engine;
	if (part && part->step == STEP_CONNECTED &&
	    x11_send_text(part, "usage", NULL, NULL, &err) < 0)
		log_warning("keeper %lld: %s", part->number, err.message);
}

static int notify(struct engine *engine, struct session *session, const char *text,
		  struct error *err)
{
	struct engine_session *part = session->part;

	(void)engine;
	if (!part || part->step != STEP_CONNECTED)
		return error_set(err, ERR_UNAVAILABLE, "there is no connection to its keeper");
	return x11_send_text(part, "notify", "TEXT", text, err);
}

static void engine_free(struct engine *engine)
{
	struct x11_engine *x11 = (struct x11_engine *)(void *)engine;

	list_for_each_safe (part, &x11->parts, struct engine_session, link)
		x11_part_free(part);
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
