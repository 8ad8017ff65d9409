/**
 * A server whose creations keep failing is set back: three failures within ten minutes, and nothing
 * is placed there for a while. When that is over it gets one creation as a probe (placement.c sees
 * to that). Succeeds it, all is forgotten; fails it, the server is set back again, for twice as
 * long.
 *
 * Times are those of loop_now_ms(). Nothing is owned; {0} is a server that never failed.
 */
#ifndef BROKER_SETBACK_H
#define BROKER_SETBACK_H

#include <stdbool.h>

#define SETBACK_FAILURES 3
#define SETBACK_WINDOW_MS (10 * 60 * 1000ULL)
#define SETBACK_LONGEST 10 /* times the first one */

struct setback {
	unsigned long long failed_ms[SETBACK_FAILURES]; /* the last ones, oldest first */
	unsigned n_failures;                            /* of them */
	unsigned long long until_ms;                    /* 0: not set back; over: to be probed */
	unsigned long long length_ms;
};

/** A creation failed. True if the server is set back from now on until until_ms, the first time for
 * @first_ms. */
bool setback_fail(struct setback *setback, unsigned long long now_ms, unsigned long long first_ms);

/** A creation succeeded. True if the server was set back until now. */
bool setback_succeed(struct setback *setback);

/** How long nothing may be placed there; 0 if it may. */
unsigned long long setback_left_ms(const struct setback *setback, unsigned long long now_ms);

#endif
