/**
 * Has a desktop started? Nothing tells, so the keeper looks, every SETTLING_LOOK_MS, from the moment
 * on when the session's programs run. It has
 *  - when a program has had the display open for SETTLING_LOOKS_OPEN looks in a row: the settings
 *    that X sessions load before the desktop come and go faster;
 *  - or when the first program has lasted for the settle time and rests, be it in a wait for
 *    something. One that computes all the time and opens no display is in a loop, or slow: it has
 *    until the start timeout.
 */
#ifndef AGENT_KEEPER_SETTLING_H
#define AGENT_KEEPER_SETTLING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SETTLING_LOOK_MS 200
#define SETTLING_LOOKS_OPEN 3

struct settling {
	long long settle_ms;
	long long begin_ms, next_look_ms;
	unsigned n_open; /* looks in a row that found the display open */
	uint32_t busy;   /* a bit for each of the last looks: the first program computed */
	unsigned n_looks;
};

/** @settle_ms: 0 for a desktop that has started as soon as it runs. */
void settling_begin(struct settling *settling, long long settle_ms, long long now_ms);

/** One look. True: it has started. */
bool settling_look(struct settling *settling, long long now_ms, bool is_open, bool is_busy);

/** Whether a client is connected to the X server of that display. Source: /proc/net/unix. */
bool settling_display_is_open(const char *table_path, int display);

/** Whether @pid or what descends from it is running just now. Source: /proc/PID/stat. */
bool settling_is_busy(pid_t pid);

#endif
