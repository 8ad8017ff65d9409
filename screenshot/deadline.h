/**
 * A moment by which something must be done, in milliseconds of CLOCK_MONOTONIC.
 */
#ifndef SCREENSHOT_DEADLINE_H
#define SCREENSHOT_DEADLINE_H

#include <stdint.h>
#include <time.h>

static inline int64_t deadline_in_ms(int64_t ms)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
}

/** Milliseconds until then, for poll(); 0 when it has passed. */
static inline int deadline_left_ms(int64_t deadline)
{
	int64_t left = deadline - deadline_in_ms(0);

	return left < 0 ? 0 : left > 1 << 30 ? 1 << 30 : (int)left;
}

#endif
