/* TLS is put between the socket and the handler by OpenSSL, which reads and writes memory: what came
 * from the socket is lent to it as stream::in, and what it makes is collected in stream_listener::out, as
 * is what goes out in the clear, and then written in one go, before anybody else is called. So a small
 * answer is one record and one write, and nothing is known of descriptors here but by libuv. */
#include "common/stream.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/stream-parts.h"

#define RECORD_BYTES 16384
#define LINGER_MS 5000
#define WAITING_MAX_BYTES (256UL * 1024)

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

BIO_METHOD *stream_bio_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");

	if (method && BIO_meth_set_read_ex(method, bio_read) &&
	    BIO_meth_set_write_ex(method, bio_write) && BIO_meth_set_ctrl(method, bio_ctrl))
		return method;
	BIO_meth_free(method);
	return NULL;
}

bool stream_start_tls(struct stream *s)
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
	*ret = uv_buf_init(s->listener->input, STREAM_READ_BYTES);
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
