/**
 * The host-wide lock around display numbers: held from before an X server is started until its
 * number is known and its socket is on record, and while a left-over socket is removed. Without it
 * one keeper could remove the socket that another's X server has just made under the same number.
 *
 * flock() belongs to the open file, which a forked helper shares: the helper waits for it, so the
 * keeper does not, and its exit says that the lock is ours.
 */
#ifndef AGENT_KEEPER_XLOCK_H
#define AGENT_KEEPER_XLOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

struct xlock {
	int fd;       /* -1: not asked for */
	pid_t helper; /* 0: none is waiting */
	bool is_held;
};

#define XLOCK_NONE ((struct xlock){.fd = -1})

/** Ask for it; afterwards either lock->is_held, or a helper waits and its end will tell. */
int xlock_request(struct xlock *lock, const char *run_dir, struct error *err);

/** The helper has ended with this wait status. */
int xlock_helper_ended(struct xlock *lock, int status, struct error *err);

/** Wait until it is ours. For a process that has nothing else to do. */
int xlock_wait(struct xlock *lock, struct error *err);

/** Give it up, held or only asked for. */
void xlock_release(struct xlock *lock);

#endif
