/**
 * A bound on calls into code that may hang: name services and PAM modules. They run in the keeper
 * itself, so there is nobody to kill but the keeper: when the time is over, the prepared last word
 * goes to the peers and the process ends on the spot, with what the modules have started. Used only
 * while nothing of the session exists, at its very begin and its very end, so nothing is left
 * behind.
 */
#ifndef AGENT_KEEPER_GUARD_H
#define AGENT_KEEPER_GUARD_H

#include <stddef.h>

#define GUARD_PEERS_MAX 16

/** From now on, @seconds. The packet (at most 2 KiB) and the descriptors are copied. */
void guard_begin(unsigned seconds, const int *fds, size_t n_fds, const void *packet, size_t len);
void guard_end(void);

#endif
