/**
 * Connections that others make to us, as streams of bytes: TCP with TLS, or a Unix socket.
 *
 * Bytes that are written leave at once if the system takes them, and else when it does. No function
 * here calls the handler: what becomes of a stream is told from the loop.
 *
 * Peers cannot take the last descriptors of the program: a connection that would is closed at once, and
 * so is one of a local user who has 64 already, unless it is root or our own user.
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/loop.h"
#include "common/tls.h"

struct stream;
struct stream_listener;

/** What an owner does with its streams. @user is what open() gave. */
struct stream_handler {
	/** A peer is there. NULL: it is sent away. */
	void *(*open)(struct stream *stream, void *userdata);
	/** Bytes came; borrowed. Not called after stream_finish(). */
	void (*read)(void *user, const char *bytes, size_t len);
	/** The peer sends no more; it may still read. */
	void (*end)(void *user);
	/** Everything that waited has left. Only after a write that could not leave at once. */
	void (*drained)(void *user);
	/** The loop has turned since stream_wake(). */
	void (*woken)(void *user);
	/** The time set with stream_set_timeout() is over. */
	void (*timeout)(void *user);
	/** The stream is gone, and is not to be used again. */
	void (*closed)(void *user);
};

struct stream_options {
	const char *unix_path;  /* a Unix socket that every local user may connect to, */
	bool is_private;        /* or only our own user and root; or */
	const char *bind_host;  /* an address to listen on, */
	int port;               /* with this port, and */
	struct tls_server *tls; /* borrowed; NULL: in the clear, for loopback alone */
	const struct stream_handler *handler;
	void *userdata;
};

/**
 * Listen until the loop stops, which closes every stream. Errors name the address or path;
 * ERR_CONFLICT: somebody else listens at that port.
 */
struct stream_listener *stream_listen(struct loop *loop, const struct stream_options *options,
				      struct error *err);

/** After the loop has stopped. Takes NULL. */
void stream_listener_free(struct stream_listener *listener);

/** Have woken() called, once, when the loop turns: for what must not be done at once. */
void stream_wake(struct stream *stream);

/** Who reads, and is told of all else, from now on. A wake that was asked for is forgotten. */
void stream_set_handler(struct stream *stream, const struct stream_handler *handler, void *user);

/**
 * Send. What cannot leave at once is copied, up to 256 KiB: who writes much waits for drained(), and a
 * peer that makes us say more than it reads is dropped. Failure is told as closed().
 */
void stream_write(struct stream *stream, const void *bytes, size_t len);

/** Is something that was written still here? Then drained() comes. */
bool stream_is_waiting(const struct stream *stream);

/** Has it been finished or aborted? */
bool stream_is_over(const struct stream *stream);

/** Stop to read, or go on. */
void stream_set_reading(struct stream *stream, bool is_reading);

/** 0: no timeout. Each call sets the time anew. */
void stream_set_timeout(struct stream *stream, unsigned long long ms);

/**
 * Send what waits, say that nothing more comes, and close when the peer has closed, or soon after.
 * What it still sends is dropped: closing at once would have its system throw our last bytes away.
 */
void stream_finish(struct stream *stream);

/** The same for a peer that has told that it sends nothing more: it is not waited for. */
void stream_finish_both(struct stream *stream);

/** Close now. closed() comes when the loop turns. */
void stream_abort(struct stream *stream);

/** Address of the peer as text, also when it has hung up; "" for a Unix socket. */
void stream_peer_address(const struct stream *stream, char *ret, size_t size);

/** The descriptor, to ask the system about the peer. */
int stream_fd(const struct stream *stream);

#endif
