/* TLS is put between the socket and the handler by OpenSSL, which reads and writes memory: what came
 * from the socket is lent to it as stream::in, and what it makes is collected in stream_listener::out, as
 * is what goes out in the clear, and then written in one go, before anybody else is called. So a small
 * answer is one record and one write, and nothing is known of descriptors here but by libuv. */
#include "common/stream.h"

#include <limits.h>
#include <netdb.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/list.h"
#include "common/log.h"
#include "common/tls.h"

#define BACKLOG 4096
#define READ_BYTES 65536
#define RECORD_BYTES 16384
#define LINGER_MS 5000
#define STREAMS_PER_USER_MAX 64
#define DESCRIPTORS_KEPT 64 /* for files, and for connections that we make */
#define WAITING_MAX_BYTES (256UL * 1024)

#define UNIX_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

union handle {
	uv_handle_t any;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
};

struct stream_listener {
	union handle uv; /* first: the loop gives us the handle */
	struct loop *loop;
	struct loop_part part;
	bool is_unix;
	int fd_max; /* higher ones are not for peers */
	union handle spare;
	bool is_spare_closing, is_peer_left; /* see turn_away() */
	struct tls_server *tls;              /* borrowed; NULL: none */
	BIO_METHOD *bio;
	const struct stream_handler *handler;
	void *userdata;
	struct list streams;
	char input[READ_BYTES]; /* used within one callback only */
	struct buf out;         /* what is to leave, used within one call only */
};

struct stream {
	union handle uv; /* first, as above */
	uv_timer_t timer;
	unsigned long long timeout_ms; /* when the time that was set is over; 0: none is set */
	uv_idle_t wake;
	uv_write_t writing;
	uv_shutdown_t shutdown;
	struct stream_listener *listener;
	struct list link; /* stream_listener::streams */
	const struct stream_handler *handler;
	void *user;
	SSL *ssl;
	const char *in; /* bytes from the socket that OpenSSL has not read yet */
	size_t in_len;
	struct buf leaving; /* given to the system, which has not taken it yet */
	struct buf waiting; /* written meanwhile */
	uid_t peer_uid;     /* of a Unix socket */
	char peer_address[64];
	bool is_writing;
	bool is_ended; /* the peer sends no more */
	bool is_finishing;
	bool is_closing;
	unsigned n_handles; /* that libuv still has */
};

/* --- the end -----------------------------------------------------------------------------------
 */

static void on_handle_closed(uv_handle_t *handle)
{
	struct stream *s = handle->data;

	if (--s->n_handles > 0)
		return;
	list_remove(&s->link);
	if (s->user)
		s->handler->closed(s->user);
	SSL_free(s->ssl);
	buf_done(&s->leaving);
	buf_done(&s->waiting);
	free(s);
}

void stream_abort(struct stream *s)
{
	if (s->is_closing)
		return;
	s->is_closing = true;
	uv_close(&s->uv.any, on_handle_closed);
	uv_close((uv_handle_t *)&s->timer, on_handle_closed);
	uv_close((uv_handle_t *)&s->wake, on_handle_closed);
}

static void on_shut_down(uv_shutdown_t *shutdown, int status)
{
	struct stream *s = shutdown->data;

	if (status < 0 || s->is_ended)
		stream_abort(s);
}

/* All has left: now the peer is told that nothing more comes. */
static void shut_down(struct stream *s)
{
	s->shutdown.data = s;
	if (uv_shutdown(&s->shutdown, &s->uv.stream, on_shut_down) < 0)
		stream_abort(s);
}

/* --- writing -----------------------------------------------------------------------------------
 */

static void on_written(uv_write_t *writing, int status);

/* @n: bytes of what is leaving that have left already. */
static void start_write(struct stream *s, size_t n)
{
	uv_buf_t bytes = uv_buf_init(s->leaving.data + n, (unsigned)(s->leaving.len - n));

	s->is_writing = true;
	s->writing.data = s;
	if (uv_write(&s->writing, &s->uv.stream, &bytes, 1, on_written) < 0)
		stream_abort(s);
}

static void on_written(uv_write_t *writing, int status)
{
	struct stream *s = writing->data;

	s->is_writing = false;
	buf_done(&s->leaving);
	if (status < 0) {
		stream_abort(s);
		return;
	}
	if (s->waiting.len > 0) {
		s->leaving = s->waiting;
		s->waiting = (struct buf){0};
		start_write(s, 0);
	} else if (s->is_finishing) {
		shut_down(s);
	} else if (s->user) {
		s->handler->drained(s->user);
	}
}

/* What has been made goes out: the system gets what it takes now, and the rest is kept for later. Not
 * without bound: the handlers wait for drained(), but a peer can make OpenSSL speak, by asking for new
 * keys again and again. */
static void flush(struct stream *s)
{
	struct buf *out = &s->listener->out;
	uv_buf_t all = uv_buf_init(out->data, (unsigned)out->len);
	struct error err;
	int n = 0;

	if (out->len > 0 && !s->is_closing && !s->is_writing)
		n = uv_try_write(&s->uv.stream, &all, 1);
	if (n == UV_EAGAIN)
		n = 0;
	if (n == (int)out->len || s->is_closing) {
		buf_truncate(out, 0);
		return;
	}
	if (n < 0 || s->waiting.len + out->len > WAITING_MAX_BYTES ||
	    (s->is_writing && buf_append(&s->waiting, out->data, out->len, &err) < 0)) {
		stream_abort(s);
	} else if (!s->is_writing) {
		s->leaving = *out;
		*out = (struct buf){0};
		start_write(s, (size_t)n);
	}
	buf_truncate(out, 0);
}

/* Before OpenSSL is asked for anything: what others left would be taken for this call's. That there is
 * nothing is found out faster than it is cleared. */
static void forget_errors(void)
{
	if (ERR_peek_error())
		ERR_clear_error();
}

void stream_write(struct stream *s, const void *bytes, size_t len)
{
	struct buf *out = &s->listener->out;
	struct error err;

	if (s->is_closing || s->is_finishing || len == 0)
		return;
	forget_errors();
	/* room for the records at once, with what each adds */
	if (buf_reserve(out, len + (len / RECORD_BYTES + 1) * 64, &err) < 0 ||
	    (s->ssl ? SSL_write(s->ssl, bytes, (int)len) != (int)len
		    : buf_append(out, bytes, len, &err) < 0)) {
		ERR_clear_error();
		stream_abort(s); /* then flush() sends nothing, but forgets it */
	}
	flush(s);
}

bool stream_is_waiting(const struct stream *s)
{
	return s->is_writing;
}

bool stream_is_over(const struct stream *s)
{
	return s->is_closing || s->is_finishing;
}

void stream_finish(struct stream *s)
{
	if (s->is_closing || s->is_finishing)
		return;
	if (s->ssl && SSL_is_init_finished(s->ssl)) {
		(void)SSL_shutdown(s->ssl);
		ERR_clear_error();
		flush(s);
	}
	s->is_finishing = true;
	stream_set_timeout(s, LINGER_MS);
	stream_set_reading(s, true);
	if (!s->is_writing && !s->is_closing)
		shut_down(s);
}

void stream_finish_both(struct stream *s)
{
	stream_set_reading(s, false);
	s->is_ended = true;
	stream_finish(s);
}

/* --- OpenSSL's side ----------------------------------------------------------------------------
 */

static int bio_read(BIO *bio, char *ret, size_t size, size_t *ret_len)
{
	struct stream *s = BIO_get_data(bio);
	size_t n = s->in_len < size ? s->in_len : size;

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	memcpy(ret, s->in, n);
	s->in += n;
	s->in_len -= n;
	*ret_len = n;
	return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t len, size_t *ret_len)
{
	struct stream *s = BIO_get_data(bio);
	struct error err;

	if (buf_append(&s->listener->out, bytes, len, &err) < 0)
		return 0;
	*ret_len = len;
	return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");

	if (method && BIO_meth_set_read_ex(method, bio_read) &&
	    BIO_meth_set_write_ex(method, bio_write) && BIO_meth_set_ctrl(method, bio_ctrl))
		return method;
	BIO_meth_free(method);
	return NULL;
}

static bool start_tls(struct stream *s)
{
	BIO *bio = BIO_new(s->listener->bio);

	s->ssl = tls_server_accept(s->listener->tls);
	if (!bio || !s->ssl) {
		BIO_free(bio);
		return false;
	}
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_accept_state(s->ssl);
	return true;
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* A peer that has said nothing yet only looked whether somebody is here. */
static bool is_shaking_hands(const struct stream *s)
{
	return s->ssl && !SSL_is_init_finished(s->ssl) && !SSL_in_before(s->ssl);
}

static void tell_failure(struct stream *s, const char *why)
{
	tls_server_tell_failure(s->listener->tls, s->ssl, s->peer_address, why);
}

static void on_end(struct stream *s)
{
	if (s->is_ended || s->is_closing)
		return;
	s->is_ended = true;
	if (is_shaking_hands(s) && !s->is_finishing)
		tell_failure(s, "the peer hung up");
	if (s->is_finishing)
		stream_abort(s);
	else if (s->user)
		s->handler->end(s->user);
}

/* OpenSSL could not go on: it waits for more, the peer has ended, or something is wrong. */
static void on_tls_stop(struct stream *s, int result, bool was_ready)
{
	int problem = SSL_get_error(s->ssl, result);

	if (problem == SSL_ERROR_WANT_READ)
		return;
	if (problem == SSL_ERROR_ZERO_RETURN) {
		on_end(s);
		return;
	}
	if (was_ready)
		log_debug("TLS with a peer ended: %s", ERR_reason_error_string(ERR_peek_error()));
	else
		tell_failure(s, NULL);
	ERR_clear_error();
	stream_abort(s);
}

static void decrypt(struct stream *s, const char *bytes, size_t len)
{
	bool was_ready = SSL_is_init_finished(s->ssl);
	char plain[RECORD_BYTES];
	int n;

	s->in = bytes;
	s->in_len = len;
	while (!s->is_closing && !s->is_finishing) {
		forget_errors();
		n = SSL_read(s->ssl, plain, sizeof(plain));
		flush(s); /* an answer of the handshake, new keys, or why it is given up */
		if (n <= 0)
			on_tls_stop(s, n, was_ready);
		if (n <= 0 || s->is_closing)
			break;
		s->handler->read(s->user, plain, (size_t)n);
		if (s->in_len == 0 && SSL_pending(s->ssl) == 0)
			break; /* nothing is left to read: spare OpenSSL the attempt */
	}
	s->in_len = 0;
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
	struct stream *s = handle->data;

	(void)wanted;
	*ret = uv_buf_init(s->listener->input, READ_BYTES);
}

static void on_read(uv_stream_t *uv, ssize_t len, const uv_buf_t *bytes)
{
	struct stream *s = uv->data;

	if (len == UV_EOF)
		on_end(s);
	else if (len < 0)
		stream_abort(s);
	else if (len == 0 || s->is_finishing)
		return;
	else if (s->ssl)
		decrypt(s, bytes->base, (size_t)len);
	else
		s->handler->read(s->user, bytes->base, (size_t)len);
}

void stream_set_reading(struct stream *s, bool is_reading)
{
	if (s->is_closing || s->is_ended)
		return;
	if (is_reading)
		(void)uv_read_start(&s->uv.stream, on_alloc, on_read);
	else
		(void)uv_read_stop(&s->uv.stream);
}

static void on_timeout(uv_timer_t *timer)
{
	struct stream *s = timer->data;
	unsigned long long now_ms = loop_now_ms(s->listener->loop);

	if (s->timeout_ms > now_ms) {
		(void)uv_timer_start(timer, on_timeout, s->timeout_ms - now_ms, 0);
		return;
	}
	if (s->timeout_ms == 0)
		return;
	if (s->is_finishing) {
		stream_abort(s);
		return;
	}
	if (is_shaking_hands(s))
		tell_failure(s, "it took too long");
	if (s->user)
		s->handler->timeout(s->user);
}

/* The time is set anew for every request, and nearly always moves on: the timer is left to go off at
 * the time before, and starts again then. */
void stream_set_timeout(struct stream *s, unsigned long long ms)
{
	if (s->is_closing)
		return;
	s->timeout_ms = ms > 0 ? loop_now_ms(s->listener->loop) + ms : 0;
	if (ms > 0 &&
	    (!uv_is_active((uv_handle_t *)&s->timer) || uv_timer_get_due_in(&s->timer) > ms))
		(void)uv_timer_start(&s->timer, on_timeout, ms, 0);
}

static void on_wake(uv_idle_t *wake)
{
	struct stream *s = wake->data;

	(void)uv_idle_stop(wake);
	s->handler->woken(s->user);
}

void stream_wake(struct stream *s)
{
	if (!s->is_closing)
		(void)uv_idle_start(&s->wake, on_wake);
}

void stream_set_handler(struct stream *s, const struct stream_handler *handler, void *user)
{
	(void)uv_idle_stop(&s->wake);
	s->handler = handler;
	s->user = user;
}

void stream_peer_address(const struct stream *s, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s", s->peer_address);
}

int stream_fd(const struct stream *s)
{
	uv_os_fd_t fd = -1;

	(void)uv_fileno(&s->uv.any, &fd);
	return fd;
}

/* --- the listener ------------------------------------------------------------------------------
 */

static int handle_init(struct loop *loop, union handle *handle, bool is_unix)
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
	if (uv_accept(uv, &s->uv.stream) < 0 || !may_stay(s) || (listener->tls && !start_tls(s))) {
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
	if (listener->tls && !(listener->bio = bio_method_new())) {
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
