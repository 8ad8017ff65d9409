#include "screenshot/monitor.h"

#include <string.h>

bool monitor_is_same(const struct monitor *one, const struct monitor *other)
{
	return one->x == other->x && one->y == other->y && one->width == other->width &&
	       one->height == other->height && one->is_primary == other->is_primary;
}

/* The part of [position, position + length) within [0, bound); false if there is none. */
static bool clip(int *position, unsigned *length, unsigned bound)
{
	long long begin = *position, end = begin + *length;

	if (begin < 0)
		begin = 0;
	if (end > bound)
		end = bound;
	if (end <= begin)
		return false;
	*position = (int)begin;
	*length = (unsigned)(end - begin);
	return true;
}

size_t monitor_list_arrange(struct monitor *monitors, size_t n_monitors, unsigned screen_width,
			    unsigned screen_height)
{
	struct monitor primary;
	size_t n = 0, first = 0;

	for (size_t i = 0; i < n_monitors; i++) {
		struct monitor m = monitors[i];

		if (clip(&m.x, &m.width, screen_width) && clip(&m.y, &m.height, screen_height))
			monitors[n++] = m;
	}
	if (n == 0)
		monitors[n++] = (struct monitor){.width = screen_width, .height = screen_height};
	while (first < n && !monitors[first].is_primary)
		first++;
	if (first == n)
		first = 0;
	primary = monitors[first];
	memmove(monitors + 1, monitors, first * sizeof(*monitors));
	monitors[0] = primary;
	for (size_t i = 0; i < n; i++)
		monitors[i].is_primary = i == 0;
	return n;
}
