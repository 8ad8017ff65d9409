/**
 * Who is connected to a keeper: the one who asked for the session, and those at its control socket.
 * A peer that does not read is dropped when its socket is full; nobody is ever waited for.
 */
#ifndef AGENT_KEEPER_PEERS_H
#define AGENT_KEEPER_PEERS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/keeper/options.h"
#include "common/buf.h"
#include "common/error.h"

#define PEERS_MAX 16

struct peers {
	struct peer {
		int fd; /* -1: free */
		unsigned long serial;
	} peers[PEERS_MAX];
	unsigned long last_serial;
};

void peers_init(struct peers *peers);
void peers_done(struct peers *peers);

/** Take a connection over; NULL, and closed, if there are too many. */
struct peer *peers_add(struct peers *peers, int fd);
void peer_drop(struct peer *peer);

/** The peer of this serial, NULL if it has gone. */
struct peer *peers_find(struct peers *peers, unsigned long serial);

/** Whether the other end of a connection may talk to us; if not, says so in the log. */
bool peer_may_talk(int fd, const struct options *options);

/**
 * A packet of NAME, value pairs, ended by NULL; a NULL value leaves its pair out.
 * False, logged, if memory ran out.
 */
bool message_build(struct buf *ret, ...) __attribute__((sentinel));

/** Send a packet, with a descriptor unless @passed_fd is -1. A peer who cannot take it is dropped.
 */
void peer_send(struct peer *peer, const struct buf *packet, int passed_fd);
void peers_send_all(struct peers *peers, const struct buf *packet);

/**
 * One packet that has arrived. Length, or 0 if there is none now; -1 when the peer has gone or said
 * more than a message holds, with a sentence in that case.
 */
long socket_receive(int fd, char *buffer, size_t size, struct error *err);

#endif
