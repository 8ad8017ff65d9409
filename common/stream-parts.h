/** What stream.c and stream-listener.c share, and nobody else knows. */
#ifndef COMMON_STREAM_PARTS_H
#define COMMON_STREAM_PARTS_H

#include "common/buf.h"
#include "common/list.h"
#include "common/stream.h"
#include "common/tls.h"

#define STREAM_READ_BYTES 65536

union stream_handle {
	uv_handle_t any;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
};

struct stream_listener {
	union stream_handle uv; /* first: the loop gives us the handle */
	struct loop *loop;
	struct loop_part part;
	bool is_unix;
	int fd_max; /* higher ones are not for peers */
	union stream_handle spare;
	bool is_spare_closing, is_peer_left; /* see turn_away() */
	struct tls_server *tls;              /* borrowed; NULL: none */
	BIO_METHOD *bio;
	const struct stream_handler *handler;
	void *userdata;
	struct list streams;
	char input[STREAM_READ_BYTES]; /* used within one callback only */
	struct buf out;                /* what is to leave, used within one call only */
};

struct stream {
	union stream_handle uv; /* first, as above */
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

/** How OpenSSL reads and writes what a stream has; NULL without memory. */
BIO_METHOD *stream_bio_method_new(void);

/** Without memory false. */
bool stream_start_tls(struct stream *stream);

#endif
