#include "agent/keeper/peers.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"

void peers_init(struct peers *peers)
{
	*peers = (struct peers){0};
	for (size_t i = 0; i < PEERS_MAX; i++)
		peers->peers[i].fd = -1;
}

void peers_done(struct peers *peers)
{
	for (size_t i = 0; i < PEERS_MAX; i++)
		peer_drop(&peers->peers[i]);
}

struct peer *peers_add(struct peers *peers, int fd)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct peer *peer = &peers->peers[i];

		if (peer->fd >= 0)
			continue;
		peer->fd = fd;
		peer->serial = ++peers->last_serial;
		return peer;
	}
	log_warning("connection refused: %d peers are connected already", PEERS_MAX);
	(void)close(fd);
	return NULL;
}

/* A Unix socket that is closed with something unread in it makes the other end fail before that has read
 * what was said to it, the last word for instance. So nothing more gets in, and what has come is taken. */
void peer_drop(struct peer *peer)
{
	char byte;

	if (peer->fd >= 0 && shutdown(peer->fd, SHUT_RD) == 0) {
		while (recv(peer->fd, &byte, sizeof(byte), MSG_DONTWAIT) > 0)
			;
	}
	close_p(&peer->fd);
}

struct peer *peers_find(struct peers *peers, unsigned long serial)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (peers->peers[i].fd >= 0 && peers->peers[i].serial == serial)
			return &peers->peers[i];
	}
	return NULL;
}

bool peer_may_talk(int fd, const struct options *options)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		log_warning("connection refused: SO_PEERCRED: %s", strerror(errno));
		return false;
	}
	if (options_may_talk(options, peer.uid))
		return true;
	log_warning("connection refused (uid=%u, pid=%d)", peer.uid, peer.pid);
	return false;
}

bool message_build(struct buf *ret, ...)
{
	struct error err = {0};
	const char *name;
	va_list args;
	int rc = 0;

	va_start(args, ret);
	while (rc == 0 && (name = va_arg(args, const char *))) {
		const char *value = va_arg(args, const char *);

		if (value)
			rc = message_add(ret, name, value, &err);
	}
	va_end(args);
	if (rc < 0)
		log_error("message not sent: %s", err.message);
	return rc == 0;
}

static ssize_t send_packet(int fd, const struct buf *packet, int passed_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {.iov_base = packet->data, .iov_len = packet->len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *header;

	if (passed_fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &passed_fd, sizeof(int));
	}
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void peer_send(struct peer *peer, const struct buf *packet, int passed_fd)
{
	if (peer->fd < 0 || send_packet(peer->fd, packet, passed_fd) >= 0)
		return;
	if (errno == EPIPE)
		return; /* what it said before it went is still to be read */
	if (errno != ECONNRESET)
		log_warning("peer dropped: %s",
			    errno == EAGAIN ? "it does not read" : strerror(errno));
	peer_drop(peer);
}

void peers_send_all(struct peers *peers, const struct buf *packet)
{
	for (size_t i = 0; i < PEERS_MAX; i++)
		peer_send(&peers->peers[i], packet, -1);
}

long socket_receive(int fd, char *buffer, size_t size, struct error *err)
{
	struct iovec part = {.iov_base = buffer, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return error_errno(err, "receive");
	if (message.msg_flags & MSG_TRUNC)
		return error_set(err, ERR_TOO_LARGE, "message of more than %zu bytes", size);
	if (n == 0)
		return error_set(err, ERR_UNREACHABLE, "connection closed");
	return n;
}
