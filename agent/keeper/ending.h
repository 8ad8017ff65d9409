/**
 * How a session ends: TERM for its programs, after a grace period TERM for the X server, then KILL
 * for whatever is there, again and again until nothing is left. Each step begins as soon as the one
 * before it is done. The owner of this struct calls ending_advance() whenever something happened:
 * a child ended, a watched process ended, or ending_timeout_ms() has passed.
 */
#ifndef AGENT_KEEPER_ENDING_H
#define AGENT_KEEPER_ENDING_H

#include <stdbool.h>

#include "agent/keeper/processes.h"

enum ending_phase { ENDING_PROGRAMS, ENDING_XSERVER, ENDING_ALL, ENDING_DONE };

struct ending {
	enum ending_phase phase;
	struct processes processes;
	pid_t xserver; /* 0: there is none, or it has ended */
	long long phase_deadline_ms;
	long long overdue_ms; /* from then on somebody must be told */
	long long next_look_ms;
	bool was_told;
};

/** Begin with @phase; the members of ending->processes are set by the caller. */
void ending_begin(struct ending *ending, enum ending_phase phase, pid_t xserver, long long grace_s);

/** Do what can be done now. True when nothing of the session is left. */
bool ending_advance(struct ending *ending);

/** When to call again although nothing happened. */
long long ending_timeout_ms(const struct ending *ending);

/** True once, when the end takes longer than it should. */
bool ending_is_overdue(struct ending *ending);

/** Milliseconds of a clock that only goes forward. */
long long clock_ms(void);

#endif
