/**
 * The processes of a session, wherever they are, and the end of them.
 *
 * A process belongs to the session if one of these holds:
 *  - it descends from the keeper, which is subreaper of all that its programs leave behind;
 *  - it is in the session's cgroup;
 *  - it is the owner's and has DCV_SESSION_ID=<this session> in its environment: desktops start
 *    applications through user@UID.service, outside of both.
 * A process is signalled through a pidfd that was opened before the last look at it, so a pid that
 * has meanwhile been given to somebody else is never hit.
 */
#ifndef AGENT_KEEPER_PROCESSES_H
#define AGENT_KEEPER_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/keeper/cgroup.h"

#define PROCESSES_WATCHED_MAX 256

struct processes {
	struct cgroup *cgroup;  /* borrowed */
	const char *session_id; /* borrowed */
	uid_t owner;
	bool with_descendants; /* not for what another keeper left behind */
	struct {
		pid_t pid;
		int pidfd;
	} watched[PROCESSES_WATCHED_MAX]; /* signalled, and not seen to end so far */
	size_t n_watched;
};

/**
 * Look for every process but @except and what descends from it (0: nobody), and send @signal.
 * The number of processes found; those that fit are watched from now on.
 */
size_t processes_signal(struct processes *processes, int signal, pid_t except);

/** Forget those that have ended; how many are left. */
size_t processes_watch(struct processes *processes);

/** Forget all. */
void processes_forget(struct processes *processes);

/**
 * Living children of this process; @max at most. Reads until it sees the same twice, for the list
 * of the kernel can skip one while others end.
 */
size_t processes_children(pid_t *ret, size_t max);

/** The same for any process, as the kernel lists them just now. */
size_t processes_children_of(pid_t pid, pid_t *ret, size_t max);

/**
 * CPU time that the processes of the session have used so far, in milliseconds. Of those in the cgroup
 * and of the keeper's descendants the ones that have ended count; others take theirs with them.
 */
long long processes_cpu_ms(const struct processes *processes);

/** Whether @text, the contents of an environ file, has NAME=value with exactly this @value. */
bool processes_environ_has(const char *text, size_t len, const char *name, const char *value);

#endif
