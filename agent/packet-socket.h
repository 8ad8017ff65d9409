/**
 * A SOCK_SEQPACKET Unix socket on the loop that carries messages of NAME=value strings and
 * descriptors: the agent's side of its keepers and capture programs. libuv's pipes and
 * libwebsockets cannot pass descriptors.
 */
#ifndef AGENT_PACKET_SOCKET_H
#define AGENT_PACKET_SOCKET_H

#include "common/buf.h"
#include "common/error.h"
#include "common/loop.h"
#include "common/message.h"

struct packet_socket;

struct packet_socket_handler {
	/** @fd: the descriptor that came along, or -1; the handler may TAKE_FD() it. */
	void (*packet)(const struct message *message, int *fd, void *userdata);
	/** The other end is gone, or sent what is no message. Nothing comes after this. */
	void (*closed)(const struct error *why, void *userdata);
};

/** Connect. ERR_UNAVAILABLE: its queue is full, try again; ERR_NOT_FOUND, ERR_UNREACHABLE. */
struct packet_socket *packet_socket_connect(struct loop *loop, const char *path,
					    const struct packet_socket_handler *handler,
					    void *userdata, struct error *err);

/** Over a connected descriptor, which is taken in every case. */
struct packet_socket *packet_socket_new(struct loop *loop, int fd,
					const struct packet_socket_handler *handler, void *userdata,
					struct error *err);

/** Send one message now. An other end that does not read its queue empty is ERR_UNREACHABLE. */
int packet_socket_send(struct packet_socket *socket, const struct buf *message, struct error *err);

/** The same with a descriptor, of which the other end gets a copy. */
int packet_socket_send_fd(struct packet_socket *socket, const struct buf *message, int fd,
			  struct error *err);

/** Takes NULL; may be called from the handler. The handler is not called again. */
void packet_socket_free(struct packet_socket *socket);

#endif
