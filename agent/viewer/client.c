#include "agent/viewer/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/viewer/rfb.h"
#include "agent/viewer/room.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

#define TEXT_MAX_BYTES 16384
#define QUEUE_MAX_BYTES (1024UL * 1024)
#define READ_BYTES (65536 - WS_ROOM_BYTES) /* with a frame's header, whole TLS records */
#define FAREWELL_MS 3000                   /* for the server to read the last of it */

struct client {
	uv_pipe_t server; /* first: the X server, once there is one */
	struct list link; /* room::clients, while it is inside */
	struct client_host *host;
	struct ws *ws; /* NULL: the browser has gone */
	struct timer *timer;
	struct visitor *visitor; /* NULL: none yet, or none any more */
	char *session_id;
	struct room *room; /* NULL: not inside */
	struct share share;
	char *user;
	bool is_owner;
	struct rfb rfb;
	bool has_server;
	uv_shutdown_t shutting;
	struct timer *farewell; /* NULL: the server has not been told that it is over */
	uv_write_t writing;
	bool is_writing;
	struct buf leaving; /* given to the system, which has not taken it yet */
	struct buf waiting; /* came meanwhile */
};

/* --- the end -----------------------------------------------------------------------------------
 */

static void tell_people(struct room *room);
static void on_server_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes);

static void client_free(struct client *client)
{
	timer_free(client->farewell);
	free(client->session_id);
	free(client->user);
	buf_done(&client->leaving);
	buf_done(&client->waiting);
	free(client);
}

static void on_server_closed(uv_handle_t *handle)
{
	struct client *client = (struct client *)(void *)handle;

	client->has_server = false;
	if (!client->ws)
		client_free(client);
}

static void close_browser(struct client *client, unsigned code, const char *why)
{
	if (client->ws)
		ws_close(client->ws, (enum lws_close_status)code, why);
}

static void let_go(struct client *client)
{
	AUTO(buf_done) struct buf out = {0};
	struct error err;

	if (client->is_writing || rfb_let_go(&client->rfb, &out, &err) < 0 || out.len == 0)
		return;
	(void)uv_try_write((uv_stream_t *)&client->server,
			   &(uv_buf_t){.base = out.data, .len = out.len}, 1);
}

/* Not every release of libuv takes NULL for it when the stream is closed before. */
static void on_server_told(uv_shutdown_t *shutting, int status)
{
	(void)shutting;
	(void)status;
}

static void close_server(void *userdata)
{
	struct client *client = userdata;

	if (!uv_is_closing((uv_handle_t *)&client->server))
		uv_close((uv_handle_t *)&client->server, on_server_closed);
}

/* Until the server has closed its end, too: if we closed at once, one that is sending a picture would notice
 * by that, and never read what it was told last. */
static void part_from_server(struct client *client)
{
	uv_stream_t *server = (uv_stream_t *)&client->server;
	int reading;

	if (!client->has_server || client->farewell)
		return;
	client->farewell = timer_new(client->host->loop, close_server, client);
	reading = uv_read_start(server, loop_lend_bytes, on_server_read);
	if (!client->farewell || uv_shutdown(&client->shutting, server, on_server_told) < 0 ||
	    (reading < 0 && reading != UV_EALREADY)) {
		close_server(client);
		return;
	}
	timer_start(client->farewell, FAREWELL_MS, 0);
}

/* Out of the room; what was said about the session is not said any more. The server hears of it at once,
 * for keys that count as let go must not stay down until the browser has agreed to the end. */
static void go_out(struct client *client)
{
	struct room *room = client->room;

	share_close(&client->share);
	vouch_leave(TAKE(client->visitor));
	if (room)
		let_go(client);
	part_from_server(client);
	if (!room)
		return;
	client->room = NULL;
	rfb_done(&client->rfb);
	list_remove(&client->link);
	tell_people(room);
	room_leave(room);
}

/* The browser has gone, and takes everything with it. */
static void on_close(struct ws *ws, const char *why, void *userdata)
{
	struct client *client = ws_user(ws);

	(void)userdata;
	if (!client)
		return;
	if (client->room)
		log_info("session %s: the browser of user %s is gone: %s", client->session_id,
			 client->user, why);
	client->ws = NULL;
	timer_free(client->timer);
	go_out(client);
	if (!client->has_server)
		client_free(client);
}

/* --- what the browser is told ------------------------------------------------------------------
 */

static void tell(struct client *client, json_t *object)
{
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *owned = object;
	struct error err;

	if (json_append(&text, owned, &err) < 0 ||
	    (client->ws && ws_send(client->ws, text.data, text.len, &err) < 0))
		log_debug("session %s: %s", client->session_id, err.message);
}

static json_t *pack_features(uint32_t features)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < N_FEATURES; i++) {
		if (features & FEATURE_BIT(i))
			(void)json_array_append_new(list, json_string(feature_name(i)));
	}
	return list;
}

static void tell_people(struct room *room)
{
	list_for_each (client, &room->clients, struct client, link) {
		json_t *people = json_array();

		list_for_each (other, &room->clients, struct client, link)
			(void)json_array_append_new(people,
						    json_pack("{s:s,s:b,s:b}", "user", other->user,
							      "owner", (int)other->is_owner, "you",
							      (int)(other == client)));
		tell(client, json_pack("{s:s,s:o}", "event", "people", "people", people));
	}
}

/* --- the X server ------------------------------------------------------------------------------
 */

static void fail(struct client *client, enum client_close code, const struct error *err)
{
	log_warning("session %s: the connection of user %s is ended: %s (address=%s)",
		    client->session_id ? client->session_id : "?",
		    client->user ? client->user : "?", err->message,
		    client->ws ? ws_peer_address(client->ws) : "");
	close_browser(client, code, "the connection was ended");
	go_out(client);
}

static void on_server_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
	struct client *client = (struct client *)(void *)stream;
	static const char room[WS_ROOM_BYTES] = "";
	struct buf *out = &client->host->out;
	struct error err;

	if (!client->room && len < 0)
		close_server(client);
	if (!client->room || len == 0)
		return;
	if (len < 0) {
		(void)error_set(&err, ERR_UNREACHABLE, "the X server has closed it");
		fail(client, CLIENT_CLOSE_SERVER, &err);
		return;
	}
	buf_truncate(out, 0);
	if (buf_append(out, room, sizeof(room), &err) < 0 ||
	    rfb_take_server(&client->rfb, bytes->base, (size_t)len, out, &err) < 0) {
		fail(client, CLIENT_CLOSE_SERVER, &err);
		return;
	}
	if (out->len == sizeof(room) || ws_send_binary(client->ws, out, &err) < 0)
		return;
	if (ws_is_waiting(client->ws))
		(void)uv_read_stop(stream);
}

static void on_drained(struct ws *ws, void *userdata)
{
	struct client *client = ws_user(ws);

	(void)userdata;
	if (client && client->room)
		(void)uv_read_start((uv_stream_t *)&client->server, loop_lend_bytes,
				    on_server_read);
}

static void on_written(uv_write_t *writing, int status);

static void start_write(struct client *client)
{
	uv_buf_t bytes = uv_buf_init(client->leaving.data, (unsigned)client->leaving.len);

	client->is_writing = true;
	client->writing.data = client;
	if (uv_write(&client->writing, (uv_stream_t *)&client->server, &bytes, 1, on_written) < 0)
		client->is_writing = false; /* reading tells why */
}

static void on_written(uv_write_t *writing, int status)
{
	struct client *client = writing->data;

	client->is_writing = false;
	buf_done(&client->leaving);
	if (status < 0 || !client->ws)
		return;
	if (client->waiting.len > 0) {
		client->leaving = client->waiting;
		client->waiting = (struct buf){0};
		start_write(client);
	} else {
		ws_set_reading(client->ws, true);
	}
}

/* While the server does not take what came, nothing more is read from the browser. */
static void send_to_server(struct client *client, const struct buf *bytes)
{
	uv_buf_t all = uv_buf_init(bytes->data, (unsigned)bytes->len);
	struct error err;
	int n = 0;

	if (!client->is_writing)
		n = uv_try_write((uv_stream_t *)&client->server, &all, 1);
	if (n == (int)bytes->len)
		return;
	n = n < 0 ? 0 : n;
	if (buf_append(client->is_writing ? &client->waiting : &client->leaving, bytes->data + n,
		       bytes->len - (size_t)n, &err) < 0) {
		fail(client, CLIENT_CLOSE_SERVER, &err);
		return;
	}
	ws_set_reading(client->ws, false);
	if (!client->is_writing)
		start_write(client);
}

static void on_binary(struct ws *ws, const void *bytes, size_t len, void *userdata)
{
	struct client *client = ws_user(ws);
	AUTO(buf_done) struct buf out = {0};
	struct error err;

	(void)userdata;
	if (!client)
		return;
	if (!client->room) { /* a stranger, of whom nothing is logged, or one who is going */
		close_browser(client, CLIENT_CLOSE_BROKEN, "not expected");
		go_out(client);
		return;
	}
	if (rfb_take_client(&client->rfb, bytes, len, &out, &err) < 0)
		fail(client, CLIENT_CLOSE_BROKEN, &err);
	else if (out.len > 0)
		send_to_server(client, &out);
}

/* --- what the agent says -----------------------------------------------------------------------
 */

static void on_judged(int status, void *userdata)
{
	struct client *client = userdata;

	client->visitor = NULL;
	close_browser(client, CLIENT_CLOSE_REFUSED + (unsigned)status, "not admitted");
}

static int open_server(struct client *client, int fd)
{
	if (uv_pipe_init(&client->host->loop->uv, &client->server, 0) < 0) {
		(void)close(fd);
		return -1;
	}
	client->has_server = true;
	if (uv_pipe_open(&client->server, fd) < 0) {
		(void)close(fd);
		return -1;
	}
	return uv_read_start((uv_stream_t *)&client->server, loop_lend_bytes, on_server_read);
}

static void open_share(struct client *client)
{
	struct share *share = &client->share;

	share->storage = &client->room->storage;
	share->visitor = client->visitor;
	share->session_id = client->session_id;
	share->user = client->user;
	share_open(&client->host->shares, share);
}

static void on_admitted(const struct admittance *admittance, void *userdata)
{
	struct client *client = userdata;
	struct error err;

	timer_stop(client->timer);
	client->user = strdup(admittance->user);
	client->is_owner = admittance->is_owner;
	if (open_server(client, admittance->fd) == 0 && client->user)
		client->room =
			room_enter(&client->host->rooms, client->host->loop, client->session_id);
	if (!client->room) {
		(void)error_oom(&err);
		fail(client, CLIENT_CLOSE_SERVER, &err);
		return;
	}
	share_set_features(&client->share, admittance->features);
	rfb_init(&client->rfb, admittance->features, &client->room->keyboard);
	list_append(&client->room->clients, &client->link);
	log_info("session %s: user %s is connected (address=%s)", client->session_id, client->user,
		 ws_peer_address(client->ws));
	if (admittance->has_files)
		open_share(client);
	tell(client,
	     json_pack("{s:s,s:s,s:b,s:b,s:o,s:s*}", "event", "admitted", "user", client->user,
		       "owner", (int)client->is_owner, "console", (int)admittance->is_console,
		       "features", pack_features(admittance->features), "files",
		       admittance->has_files ? client->share.key : NULL));
	tell_people(client->room);
}

static void on_features(uint32_t features, void *userdata)
{
	struct client *client = userdata;
	AUTO(buf_done) struct buf out = {0};
	struct error err;

	share_set_features(&client->share, features);
	if (rfb_set_features(&client->rfb, features, &out, &err) < 0) {
		fail(client, CLIENT_CLOSE_SERVER, &err);
		return;
	}
	if (out.len > 0)
		send_to_server(client, &out);
	tell(client,
	     json_pack("{s:s,s:o}", "event", "features", "features", pack_features(features)));
}

static void on_files(int fd, void *userdata)
{
	struct client *client = userdata;

	storage_connected(&client->room->storage, fd);
}

static void on_put_out(enum viewer_end reason, void *userdata)
{
	struct client *client = userdata;

	client->visitor = NULL;
	close_browser(client, CLIENT_CLOSE_PUT_OUT + (unsigned)reason, "put out");
	go_out(client);
}

static const struct vouch_events vouch_events = {on_judged, on_admitted, on_features, on_files,
						 on_put_out};

/* --- what the browser says ---------------------------------------------------------------------
 */

/* Of one that does not come to the point. */
static void on_timeout(void *userdata)
{
	struct client *client = userdata;

	go_out(client);
	close_browser(client, CLIENT_CLOSE_REFUSED + (client->session_id ? 503 : 401),
		      "not admitted in time");
}

static void show_token(struct client *client, const json_t *message)
{
	struct vouch_question question = {
		.token = json_get_text(message, "token"),
		.session_id = json_get_text(message, "session"),
		.address = ws_peer_address(client->ws),
		.events = &vouch_events,
		.userdata = client,
	};
	struct error err;

	if (!question.token || !question.session_id) {
		close_browser(client, CLIENT_CLOSE_BROKEN, "token and session are expected");
		return;
	}
	share_make_key(&client->host->shares, question.session_id, question.token, &client->share);
	client->session_id = strdup(question.session_id);
	client->visitor = client->session_id ? vouch_ask(client->host->vouch, &question, &err)
					     : NULL;
	if (client->visitor)
		return;
	if (client->session_id &&
	    refusals_may_tell(client->host->refusals, question.address, err.message))
		log_warning("a token is not looked at: %s (address=%s)", err.message,
			    question.address);
	close_browser(client,
		      CLIENT_CLOSE_REFUSED +
			      (client->session_id && err.code == ERR_UNAUTHORIZED ? 401 : 503),
		      "not admitted");
}

static void on_message(struct ws *ws, const char *text, size_t len, void *userdata)
{
	struct client *client = ws_user(ws);
	json_auto_t *message = NULL;
	const json_t *ping;
	struct error err;

	(void)userdata;
	if (!client)
		return;
	if (json_parse(text, len, &message, &err) < 0) {
		close_browser(client, CLIENT_CLOSE_BROKEN, "not JSON");
		return;
	}
	ping = json_object_get(message, "ping");
	if (!client->session_id)
		show_token(client, message);
	else if (client->room && json_is_integer(ping))
		tell(client,
		     json_pack("{s:s,s:I}", "event", "pong", "ping", json_integer_value(ping)));
	else
		close_browser(client, CLIENT_CLOSE_BROKEN, "not expected");
}

static void on_open(struct ws *ws, const char *authorization, void *userdata)
{
	struct client *client = calloc(1, sizeof(*client));

	(void)authorization;
	if (client) {
		client->host = userdata;
		client->timer = timer_new(client->host->loop, on_timeout, client);
	}
	if (!client || !client->timer) {
		free(client);
		ws_close(ws, LWS_CLOSE_STATUS_UNEXPECTED_CONDITION, "out of memory");
		return;
	}
	client->ws = ws;
	ws_set_user(ws, client);
	timer_start(client->timer, CLIENT_ADMISSION_MS, 0);
}

struct ws_handler client_handler(const char *path)
{
	return (struct ws_handler){
		.protocol = CLIENT_PROTOCOL,
		.path = path,
		.message_max_bytes = TEXT_MAX_BYTES,
		.queue_max_bytes = QUEUE_MAX_BYTES,
		.open = on_open,
		.message = on_message,
		.binary = on_binary,
		.drained = on_drained,
		.close = on_close,
	};
}
