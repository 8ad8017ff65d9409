/** A SOCK_SEQPACKET Unix socket that programs of a few users may connect to. See packet-socket.h. */
#ifndef AGENT_PACKET_LISTENER_H
#define AGENT_PACKET_LISTENER_H

#include "common/error.h"
#include "common/loop.h"

struct packet_listener;

/** A peer is there; @fd is taken. */
typedef void (*packet_accept_fn)(int fd, void *userdata);

/**
 * Listen. A peer that is neither root nor of our own user must be of @user, an account that may come to be
 * later; borrowed.
 */
struct packet_listener *packet_listener_new(struct loop *loop, const char *path, const char *user,
					    packet_accept_fn accept, void *userdata,
					    struct error *err);

/** Takes NULL. */
void packet_listener_free(struct packet_listener *listener);

#endif
