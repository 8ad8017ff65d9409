#include "tests/doubles/fleet/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "tests/doubles/fleet/command.h"

struct control {
	uv_pipe_t pipe; /* listens */
	struct fleet *fleet;
	struct list peers; /* struct peer::link */
	bool is_open;
};

struct peer {
	uv_pipe_t pipe; /* first */
	struct list link;
	struct control *control;
	struct buf incoming;
	char bytes[4096];
};

struct outgoing {
	uv_write_t write; /* first */
	char *text;
};

static void on_peer_closed(uv_handle_t *handle)
{
	struct peer *peer = (struct peer *)(void *)handle;

	buf_done(&peer->incoming);
	free(peer);
}

static void peer_close(struct peer *peer)
{
	if (uv_is_closing((uv_handle_t *)&peer->pipe))
		return;
	list_remove(&peer->link);
	uv_close((uv_handle_t *)&peer->pipe, on_peer_closed);
}

/* --- answers -----------------------------------------------------------------------------------
 */

static void on_written(uv_write_t *write, int status)
{
	struct outgoing *out = (struct outgoing *)(void *)write;

	(void)status; /* a peer that has gone is seen by reading */
	free(out->text);
	free(out);
}

static int write_line(struct peer *peer, const json_t *answer, struct error *err)
{
	AUTO(buf_done) struct buf line = {0};
	struct outgoing *out;
	uv_buf_t bytes;

	if (json_append(&line, answer, err) < 0 || buf_append_text(&line, "\n", err) < 0)
		return -1;
	out = calloc(1, sizeof(*out));
	if (!out)
		return error_oom(err);
	bytes = uv_buf_init(line.data, (unsigned)line.len);
	out->text = buf_steal(&line);
	if (uv_write(&out->write, (uv_stream_t *)&peer->pipe, &bytes, 1, on_written) == 0)
		return 0;
	on_written(&out->write, 0);
	return error_set(err, ERR_SYSTEM, "cannot write");
}

static void answer(struct peer *peer, const char *line, size_t len)
{
	json_auto_t *command = NULL, *reply = NULL;
	struct error err = {0};

	if (json_parse(line, len, &command, &err) < 0 ||
	    command_run(peer->control->fleet, command, &reply, &err) < 0)
		reply = json_pack("{s:s}", "error", err.message);
	if (write_line(peer, reply, &err) < 0) {
		log_error("control: %s", err.message);
		peer_close(peer);
	}
}

/* --- lines -------------------------------------------------------------------------------------
 */

static void answer_lines(struct peer *peer)
{
	char *end;

	while (peer->incoming.len > 0 &&
	       (end = memchr(peer->incoming.data, '\n', peer->incoming.len))) {
		size_t len = (size_t)(end - peer->incoming.data);

		answer(peer, peer->incoming.data, len);
		buf_consume(&peer->incoming, len + 1);
	}
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
	struct peer *peer = (struct peer *)(void *)handle;

	(void)wanted;
	*ret = uv_buf_init(peer->bytes, sizeof(peer->bytes));
}

static void on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct peer *peer = (struct peer *)(void *)stream;
	struct error err;

	if (n == 0)
		return;
	if (n < 0 || peer->incoming.len + (size_t)n > CONTROL_LINE_MAX_BYTES ||
	    buf_append(&peer->incoming, bytes->base, (size_t)n, &err) < 0)
		peer_close(peer);
	else
		answer_lines(peer);
}

static void on_peer(uv_stream_t *server, int status)
{
	struct control *control = server->data;
	struct peer *peer = calloc(1, sizeof(*peer));

	if (status < 0 || !peer) {
		free(peer);
		return;
	}
	peer->control = control;
	(void)uv_pipe_init(server->loop, &peer->pipe, 0);
	list_append(&control->peers, &peer->link);
	if (uv_accept(server, (uv_stream_t *)&peer->pipe) < 0 ||
	    uv_read_start((uv_stream_t *)&peer->pipe, on_room, on_bytes) < 0)
		peer_close(peer);
}

/* --- the socket --------------------------------------------------------------------------------
 */

/* A socket that nobody listens at is what a killed program left. */
static void remove_dead_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0 || lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    strlen(path) >= sizeof(address.sun_path))
		return;
	(void)strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == ECONNREFUSED)
		(void)unlink(path);
}

struct control *control_new(struct fleet *fleet, const char *path, struct error *err)
{
	struct control *control = calloc(1, sizeof(*control));
	int failed;

	if (!control) {
		(void)error_oom(err);
		return NULL;
	}
	control->fleet = fleet;
	list_init(&control->peers);
	remove_dead_socket(path);
	(void)uv_pipe_init(&fleet->loop->uv, &control->pipe, 0);
	control->pipe.data = control;
	failed = strlen(path) < sizeof(((struct sockaddr_un *)NULL)->sun_path)
			 ? uv_pipe_bind(&control->pipe, path)
			 : UV_ENAMETOOLONG;
	if (failed == 0)
		failed = uv_listen((uv_stream_t *)&control->pipe, 16, on_peer);
	control->is_open = true;
	if (failed == 0)
		return control;
	(void)error_set(err, ERR_SYSTEM, "--control: %s: %s", path, uv_strerror(failed));
	control_stop(control);
	(void)uv_run(&fleet->loop->uv, UV_RUN_NOWAIT); /* until the handle is closed */
	control_free(control);
	return NULL;
}

void control_stop(struct control *control)
{
	if (!control || !control->is_open)
		return;
	control->is_open = false;
	uv_close((uv_handle_t *)&control->pipe, NULL);
	list_for_each_safe (peer, &control->peers, struct peer, link)
		peer_close(peer);
}

void control_free(struct control *control)
{
	free(control);
}
