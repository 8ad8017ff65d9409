/**
 * Monitors: the rectangles of a screen that a person sees as one picture each.
 */
#ifndef SCREENSHOT_MONITOR_H
#define SCREENSHOT_MONITOR_H

#include <stdbool.h>
#include <stddef.h>

/** More than this on one display is an error rather than a long answer. */
#define MONITORS_MAX 64

struct monitor {
	int x, y; /* of the top left corner on the screen, in pixels */
	unsigned width, height;
	bool is_primary;
};

bool monitor_is_same(const struct monitor *one, const struct monitor *other);

/**
 * Make a list fit to be captured: what reaches beyond the screen is cut off, what lies outside it
 * is dropped, exactly one monitor is primary and comes first, the others keep their order. When
 * nothing is left the whole screen is the one monitor.
 *
 * @monitors: room for at least one
 * Returns the new number of monitors, 1 or more.
 */
size_t monitor_list_arrange(struct monitor *monitors, size_t n_monitors, unsigned screen_width,
			    unsigned screen_height);

#endif
