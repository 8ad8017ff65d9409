#include "agent/packet-listener.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/cleanup.h"
#include "common/log.h"

#define BACKLOG 16

struct packet_listener {
	uv_poll_t poll; /* first */
	int fd;
	const char *user;
	uid_t uid; /* of the user; (uid_t)-1: not known yet */
	packet_accept_fn accept;
	void *userdata;
};

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

void packet_listener_free(struct packet_listener *listener)
{
	if (!listener)
		return;
	uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
	close_p(&listener->fd);
}

static bool may_talk(struct packet_listener *listener, int fd)
{
	const struct passwd *entry;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	if (listener->uid == (uid_t)-1 && (entry = getpwnam(listener->user)))
		listener->uid = entry->pw_uid;
	if (listener->uid != (uid_t)-1 && peer.uid == listener->uid)
		return true;
	log_warning("connection refused (uid=%u, pid=%d)", peer.uid, peer.pid);
	return false;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct packet_listener *listener = (struct packet_listener *)(void *)poll;
	AUTO(close_p) int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)status;
	(void)events;
	if (fd >= 0 && may_talk(listener, fd))
		listener->accept(TAKE_FD(fd), listener->userdata);
}

/* Everybody may connect, and is then asked who they are. */
static int listen_at(const char *path, int *ret_fd, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO(close_p)
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_errno(err, "socket");
	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, ERR_CONFIG, "%s is too long for a socket's path", path);
	strcpy(address.sun_path, path);
	(void)unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0666) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return error_errno(err, "cannot listen on %s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

struct packet_listener *packet_listener_new(struct loop *loop, const char *path, const char *user,
					    packet_accept_fn accept, void *userdata,
					    struct error *err)
{
	struct packet_listener *listener = calloc(1, sizeof(*listener));

	if (!listener) {
		(void)error_oom(err);
		return NULL;
	}
	listener->user = user;
	listener->uid = (uid_t)-1;
	listener->accept = accept;
	listener->userdata = userdata;
	listener->fd = -1;
	if (listen_at(path, &listener->fd, err) < 0 ||
	    uv_poll_init(&loop->uv, &listener->poll, listener->fd) < 0) {
		if (listener->fd >= 0)
			(void)error_set(err, ERR_SYSTEM, "cannot watch a descriptor");
		close_p(&listener->fd);
		free(listener);
		return NULL;
	}
	(void)uv_poll_start(&listener->poll, UV_READABLE, on_poll);
	return listener;
}
