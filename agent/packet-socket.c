#include "agent/packet-socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/cleanup.h"

#define PACKET_MAX_BYTES 65536

/* A peer that sends without end must not keep the loop from everybody else. */
#define PACKETS_PER_TURN 32

struct packet_socket {
	uv_poll_t poll;
	int fd;
	const struct packet_socket_handler *handler;
	void *userdata;
	bool is_closing;
};

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

void packet_socket_free(struct packet_socket *socket)
{
	if (!socket || socket->is_closing)
		return;
	socket->is_closing = true;
	uv_close((uv_handle_t *)&socket->poll, on_poll_closed);
	close_p(&socket->fd);
}

static int take_descriptor(struct msghdr *header)
{
	int fd = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	}
	return fd;
}

/* One packet. 1: there may be more, 0: none now, -1: the end, with @err. */
static int receive(struct packet_socket *socket, struct error *err)
{
	static char bytes[PACKET_MAX_BYTES]; /* one loop, one thread: one packet at a time */
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {bytes, sizeof(bytes)};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				/* not CMSG_SPACE: its padding has room for a second one */
				.msg_controllen = CMSG_LEN(sizeof(int))};
	AUTO(close_p) int fd = -1;
	struct message message;
	ssize_t n = recvmsg(socket->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return error_errno(err, "receive");
	fd = take_descriptor(&header);
	if (n == 0)
		return error_set(err, ERR_UNREACHABLE, "connection closed");
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return error_set(err, ERR_TOO_LARGE, "packet above %d bytes", PACKET_MAX_BYTES);
	if (message_parse(&message, bytes, (size_t)n, err) < 0)
		return -1;
	socket->handler->packet(&message, &fd, socket->userdata);
	return 1;
}

/* A peer that went without having read everything leaves an error, and behind it what it said last.
 * libuv stops watching then. */
static void clear_error(struct packet_socket *socket)
{
	int ignored;
	socklen_t len = sizeof(ignored);

	(void)getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &ignored, &len);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct packet_socket *socket = (struct packet_socket *)(void *)poll;
	struct error err = {0};
	int more = 1;

	(void)events;
	if (status < 0)
		clear_error(socket);
	/* The handler may free the socket; its memory stays until the loop turns. */
	for (int i = 0; i < PACKETS_PER_TURN && more > 0 && !socket->is_closing; i++)
		more = receive(socket, &err);
	if (status < 0 && more > 0 && !socket->is_closing)
		(void)uv_poll_start(poll, UV_READABLE, on_poll);
	else if (status < 0 && more == 0)
		more = error_set(&err, ERR_SYSTEM, "poll: %s", uv_strerror(status));
	if (more < 0 && !socket->is_closing) {
		(void)uv_poll_stop(poll);
		socket->handler->closed(&err, socket->userdata);
	}
}

struct packet_socket *packet_socket_new(struct loop *loop, int fd,
					const struct packet_socket_handler *handler, void *userdata,
					struct error *err)
{
	struct packet_socket *socket = calloc(1, sizeof(*socket));

	if (!socket) {
		(void)close(fd);
		(void)error_oom(err);
		return NULL;
	}
	socket->fd = fd;
	socket->handler = handler;
	socket->userdata = userdata;
	if (uv_poll_init(&loop->uv, &socket->poll, fd) < 0) {
		(void)close(fd);
		free(socket);
		(void)error_set(err, ERR_SYSTEM, "cannot watch a descriptor");
		return NULL;
	}
	(void)uv_poll_start(&socket->poll, UV_READABLE, on_poll);
	return socket;
}

struct packet_socket *packet_socket_connect(struct loop *loop, const char *path,
					    const struct packet_socket_handler *handler,
					    void *userdata, struct error *err)
{
	AUTO(close_p)
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (fd < 0) {
		(void)error_errno(err, "socket");
		return NULL;
	}
	if (strlen(path) >= sizeof(address.sun_path)) {
		(void)error_set(err, ERR_CONFIG, "socket path %s is too long", path);
		return NULL;
	}
	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EAGAIN)
			(void)error_set(err, ERR_UNAVAILABLE, "%s: its queue is full", path);
		else
			(void)error_errno(err, "connect to %s", path);
		return NULL;
	}
	return packet_socket_new(loop, TAKE_FD(fd), handler, userdata, err);
}

static ssize_t send_with(int socket_fd, const struct buf *message, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {message->data, message->len};
	struct msghdr packet = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&packet);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket_fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int packet_socket_send(struct packet_socket *socket, const struct buf *message, struct error *err)
{
	return packet_socket_send_fd(socket, message, -1, err);
}

int packet_socket_send_fd(struct packet_socket *socket, const struct buf *message, int fd,
			  struct error *err)
{
	ssize_t n =
		fd < 0 ? send(socket->fd, message->data, message->len, MSG_DONTWAIT | MSG_NOSIGNAL)
		       : send_with(socket->fd, message, fd);

	if (n >= 0)
		return 0;
	if (errno == EAGAIN)
		return error_set(err, ERR_UNREACHABLE, "the other end does not read");
	return error_errno(err, "send");
}
