#include "common/stream.h"

#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/log.h"
#include "common/stream-parts.h"

#define BACKLOG 4096
#define STREAMS_PER_USER_MAX 64
#define DESCRIPTORS_KEPT 64 /* for files, and for connections that we make */

#define UNIX_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

static int handle_init(struct loop *loop, union stream_handle *handle, bool is_unix)
{
	return is_unix ? uv_pipe_init(&loop->uv, &handle->pipe, 0)
		       : uv_tcp_init(&loop->uv, &handle->tcp);
}

static void turn_away(struct stream_listener *listener);

static void on_spare_closed(uv_handle_t *handle)
{
	struct stream_listener *listener = handle->data;

	listener->is_spare_closing = false;
	if (listener->is_peer_left)
		turn_away(listener);
}

/* There is no memory for a peer. It must be accepted nevertheless: libuv does not look for others
 * before that. */
static void turn_away(struct stream_listener *listener)
{
	listener->is_peer_left = listener->is_spare_closing;
	if (listener->is_spare_closing)
		return;
	listener->is_spare_closing = true;
	(void)handle_init(listener->loop, &listener->spare, listener->is_unix);
	listener->spare.any.data = listener;
	(void)uv_accept(&listener->uv.stream, &listener->spare.stream);
	uv_close(&listener->spare.any, on_spare_closed);
}

static bool has_too_many(const struct stream *s)
{
	size_t n = 0;

	if (!s->listener->is_unix || s->peer_uid == 0 || s->peer_uid == geteuid())
		return false;
	list_for_each (other, &s->listener->streams, struct stream, link)
		n += other->peer_uid == s->peer_uid;
	return n > STREAMS_PER_USER_MAX;
}

/* The system gives the lowest descriptor that is free: a high one tells that there are few left, whatever
 * has taken the others. */
static bool may_stay(struct stream *s)
{
	int fd = stream_fd(s);
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);

	if (s->listener->is_unix && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	s->peer_uid = peer.uid;
	if (fd <= s->listener->fd_max && !has_too_many(s))
		return true;
	log_debug("a peer is turned away: too many connections");
	return false;
}

/* Read at once: of a peer that has hung up the system does not know it any more. */
static void read_peer_address(struct stream *s)
{
	static const char mapped[] = "::ffff:"; /* an IPv4 peer of a socket for both families */
	struct sockaddr_storage address;
	int len = sizeof(address);
	char text[64] = "";
	bool is_mapped;

	if (uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&address, &len) == 0)
		(void)getnameinfo((struct sockaddr *)&address, (socklen_t)len, text, sizeof(text),
				  NULL, 0, NI_NUMERICHOST);
	is_mapped = strncmp(text, mapped, strlen(mapped)) == 0 && strchr(text, '.');
	(void)snprintf(s->peer_address, sizeof(s->peer_address), "%s",
		       is_mapped ? text + strlen(mapped) : text);
}

static void on_connection(uv_stream_t *uv, int status)
{
	struct stream_listener *listener = uv->data;
	struct stream *s;

	if (status < 0)
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		turn_away(listener);
		return;
	}
	s->listener = listener;
	s->handler = listener->handler;
	(void)handle_init(listener->loop, &s->uv, listener->is_unix);
	(void)uv_timer_init(&listener->loop->uv, &s->timer);
	(void)uv_idle_init(&listener->loop->uv, &s->wake);
	s->uv.any.data = s;
	s->timer.data = s;
	s->wake.data = s;
	s->n_handles = 3;
	list_append(&listener->streams, &s->link);
	if (uv_accept(uv, &s->uv.stream) < 0 || !may_stay(s) ||
	    (listener->tls && !stream_start_tls(s))) {
		stream_abort(s);
		return;
	}
	if (!listener->is_unix) {
		(void)uv_tcp_nodelay(&s->uv.tcp, 1);
		read_peer_address(s);
	}
	s->user = listener->handler->open(s, listener->userdata);
	if (s->user)
		stream_set_reading(s, true);
	else
		stream_abort(s);
}

static void close_listener(struct loop_part *part)
{
	struct stream_listener *listener = list_entry(part, struct stream_listener, part);

	uv_close(&listener->uv.any, NULL);
	list_for_each (s, &listener->streams, struct stream, link)
		stream_abort(s);
}

/* Who may connect does not depend on the umask we were started with; who it is tells SO_PEERCRED.
 * Set before bind(), so there is no moment with another mode. */
static int bind_unix(struct stream_listener *listener, const struct stream_options *options)
{
	mode_t mask;
	int failed;

	(void)unlink(options->unix_path);
	mask = umask(options->is_private ? 0177 : 0111);
	failed = uv_pipe_bind(&listener->uv.pipe, options->unix_path);
	(void)umask(mask);
	return failed;
}

static int bind_tcp(struct stream_listener *listener, const struct stream_options *options)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	char port[8];
	int failed;

	(void)snprintf(port, sizeof(port), "%d", options->port);
	if (getaddrinfo(options->bind_host, port, &hints, &found) != 0)
		return UV_EADDRNOTAVAIL;
	failed = uv_tcp_bind(&listener->uv.tcp, found->ai_addr, 0);
	freeaddrinfo(found);
	return failed;
}

static int find_fd_max(void)
{
	struct rlimit limit;
	rlim_t kept;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
		return INT_MAX;
	kept = limit.rlim_cur / 4 < DESCRIPTORS_KEPT ? limit.rlim_cur / 4 : DESCRIPTORS_KEPT;
	return (int)(limit.rlim_cur - kept);
}

static int listen_on(struct stream_listener *listener, const struct stream_options *options,
		     struct error *err)
{
	int failed;

	/* libuv would cut it short */
	if (listener->is_unix && strlen(options->unix_path) >= UNIX_PATH_SIZE)
		return error_set(err, ERR_CONFIG, "%s is too long for a socket's path",
				 options->unix_path);
	failed = listener->is_unix ? bind_unix(listener, options) : bind_tcp(listener, options);
	if (!failed)
		failed = uv_listen(&listener->uv.stream, BACKLOG, on_connection);
	if (!failed)
		return 0;
	if (listener->is_unix)
		return error_set(err, ERR_SYSTEM, "cannot listen on %s: %s", options->unix_path,
				 uv_strerror(failed));
	return error_set(err, failed == UV_EADDRINUSE ? ERR_CONFLICT : ERR_SYSTEM,
			 "cannot listen on %s port %d: %s", options->bind_host, options->port,
			 uv_strerror(failed));
}

struct stream_listener *stream_listen(struct loop *loop, const struct stream_options *options,
				      struct error *err)
{
	struct stream_listener *listener = calloc(1, sizeof(*listener));

	if (!listener) {
		(void)error_oom(err);
		return NULL;
	}
	listener->loop = loop;
	listener->is_unix = options->unix_path != NULL;
	listener->handler = options->handler;
	listener->userdata = options->userdata;
	listener->fd_max = find_fd_max();
	listener->tls = listener->is_unix ? NULL : options->tls;
	list_init(&listener->streams);
	listener->part.close = close_listener;
	if (listener->tls && !(listener->bio = stream_bio_method_new())) {
		stream_listener_free(listener);
		(void)error_oom(err);
		return NULL;
	}
	(void)handle_init(loop, &listener->uv, listener->is_unix);
	listener->uv.any.data = listener;
	loop_add_part(loop, &listener->part);
	if (listen_on(listener, options, err) == 0)
		return listener;
	loop_remove_part(&listener->part);
	uv_close(&listener->uv.any, (uv_close_cb)stream_listener_free);
	return NULL;
}

void stream_listener_free(struct stream_listener *listener)
{
	if (!listener)
		return;
	buf_done(&listener->out);
	BIO_meth_free(listener->bio);
	free(listener);
}
