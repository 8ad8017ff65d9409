/**
 * The cgroup of a session, so that it can be killed as a whole.
 *
 * pam_systemd moves the keeper into a scope of its own (session-N.scope), with nobody else in it:
 * that is then the session's cgroup, programs are born in it, and the keeper goes back where it
 * came from before it kills it. Where PAM moved nobody, the keeper makes a child of its own cgroup,
 * which only the programs enter. Works on cgroup v2, also in its hybrid place; where there is none
 * that we can write, `path` stays NULL and processes are found by other means (processes.h).
 */
#ifndef AGENT_KEEPER_CGROUP_H
#define AGENT_KEEPER_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

struct cgroup {
	char *path;      /* folder in the file system; NULL: none */
	char *line;      /* the same as /proc/PID/cgroup names it */
	char *origin;    /* folder of the cgroup that we came from */
	bool is_entered; /* the keeper itself is in it */
	bool is_made;    /* by us, and to be removed by us */
};

/** The v2 path in the text of /proc/PID/cgroup ("0::/user.slice"); NULL if there is none. */
char *cgroup_parse(const char *text);

/** Note where we are now; before PAM. Failure means no cgroup, nothing worse. */
void cgroup_note_origin(struct cgroup *cgroup);

/** After PAM: find or make the session's cgroup. */
void cgroup_find(struct cgroup *cgroup);

/** A cgroup that another keeper left behind. */
int cgroup_adopt(struct cgroup *cgroup, const char *path, struct error *err);
void cgroup_done(struct cgroup *cgroup);

/**
 * fork() a child that is in the cgroup. It is born there where the kernel can do that: moving a
 * process waits for every CPU, 10 to 20 ms each time. Returns like fork(); in the child, a failure
 * to enter is -1 with @err, and *ret_is_child true.
 */
pid_t cgroup_fork(const struct cgroup *cgroup, bool *ret_is_child, struct error *err);

/** Whether a process belongs to it or to one below. */
bool cgroup_has(const struct cgroup *cgroup, pid_t pid);

/** Processes directly in it, at most @max; how many there are. */
size_t cgroup_list(const struct cgroup *cgroup, pid_t *ret, size_t max);

/** Whether any process is left in it or below. */
bool cgroup_is_populated(const struct cgroup *cgroup);

/** CPU time of all that is or was in it and below, in milliseconds; -1 where nobody counts it. */
long long cgroup_cpu_ms(const struct cgroup *cgroup);

/** Kill all in it and below, not the keeper. */
void cgroup_kill(struct cgroup *cgroup);

/** Remove it if we made it. */
void cgroup_remove(struct cgroup *cgroup);

#endif
