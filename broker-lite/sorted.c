#include "broker-lite/sorted.h"

#include <stdlib.h>
#include <string.h>

void sorted_done(struct sorted *sorted)
{
	free(sorted->items);
	sorted->items = NULL;
	sorted->n = sorted->capacity = 0;
}

size_t sorted_position(const struct sorted *sorted, const void *key)
{
	size_t low = 0, high = sorted->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sorted->compare(sorted->items[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void *sorted_find(const struct sorted *sorted, const void *key)
{
	size_t at = sorted_position(sorted, key);

	if (at < sorted->n && sorted->compare(sorted->items[at], key) == 0)
		return sorted->items[at];
	return NULL;
}

int sorted_insert(struct sorted *sorted, const void *key, void *item, struct error *err)
{
	size_t at = sorted_position(sorted, key);

	if (sorted->n == sorted->capacity) {
		size_t capacity = sorted->capacity ? sorted->capacity * 2 : 16;
		void **items = reallocarray(sorted->items, capacity, sizeof(*items));

		if (!items)
			return error_oom(err);
		sorted->items = items;
		sorted->capacity = capacity;
	}
	memmove(sorted->items + at + 1, sorted->items + at,
		(sorted->n - at) * sizeof(*sorted->items));
	sorted->items[at] = item;
	sorted->n++;
	return 0;
}

void sorted_remove(struct sorted *sorted, const void *key, const void *item)
{
	for (size_t at = sorted_position(sorted, key); at < sorted->n; at++) {
		if (sorted->items[at] != item) {
			if (sorted->compare(sorted->items[at], key) != 0)
				return;
			continue;
		}
		sorted->n--;
		memmove(sorted->items + at, sorted->items + at + 1,
			(sorted->n - at) * sizeof(*sorted->items));
		return;
	}
}
