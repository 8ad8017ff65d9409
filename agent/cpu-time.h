/** How much CPU time processes have used, from /proc/PID/stat, which everybody may read. */
#ifndef AGENT_CPU_TIME_H
#define AGENT_CPU_TIME_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * The time that a process has used, and its children that have ended and that it waited for, in
 * milliseconds; from the text of its stat file. False if that is not one. @with_itself: false for
 * the children alone.
 */
bool cpu_time_parse(const char *text, bool with_itself, long long *ret_ms);

/** The same for a living process; 0 if it has gone. */
long long cpu_time_of(pid_t pid, bool with_itself);

/** Of all processes of a user; -1 if none is seen. Reads all of /proc. */
long long cpu_time_of_user(uid_t uid);

#endif
