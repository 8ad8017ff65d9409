/* The kernel tells it over a netlink socket. What it says is not read: that it speaks is enough. */
#include "broker-lite/address-watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/cleanup.h"

#define PATIENCE_MS 1000

struct address_watch {
	uv_poll_t poll;
	int fd;
	struct timer *timer;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct address_watch *watch = poll->data;
	char bytes[8192];

	(void)status;
	(void)events;
	while (recv(watch->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	timer_start(watch->timer, PATIENCE_MS, 0);
}

static int open_netlink(struct error *err)
{
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK,
					    .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
	AUTO(close_p)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, "watch the addresses of this host");
	return TAKE_FD(fd);
}

struct address_watch *address_watch_new(struct loop *loop, timer_fn fn, void *userdata,
					struct error *err)
{
	AUTO(close_p) int fd = open_netlink(err);
	struct address_watch *watch = fd < 0 ? NULL : calloc(1, sizeof(*watch));

	if (fd < 0)
		return NULL;
	if (watch)
		watch->timer = timer_new(loop, fn, userdata);
	if (!watch || !watch->timer || uv_poll_init(&loop->uv, &watch->poll, fd) < 0) {
		if (watch)
			timer_free(watch->timer);
		free(watch);
		(void)error_oom(err);
		return NULL;
	}
	watch->fd = TAKE_FD(fd);
	watch->poll.data = watch;
	(void)uv_poll_start(&watch->poll, UV_READABLE, on_readable);
	return watch;
}

static void on_closed(uv_handle_t *handle)
{
	struct address_watch *watch = handle->data;

	close_p(&watch->fd);
	free(watch);
}

void address_watch_free(struct address_watch *watch)
{
	if (!watch)
		return;
	timer_free(watch->timer);
	uv_close((uv_handle_t *)&watch->poll, on_closed);
}
