/**
 * An array of pointers in order: found by halving, walked from any key on. Nothing is owned.
 *
 * Inserting moves what comes after, which for the tens of thousands of things that a broker knows
 * is less work than the pointers of a tree.
 */
#ifndef BROKER_SORTED_H
#define BROKER_SORTED_H

#include <stddef.h>

#include "common/error.h"

struct sorted {
	int (*compare)(const void *item, const void *key);
	void **items;
	size_t n, capacity;
};

void sorted_done(struct sorted *sorted);

/** Index of the first item that is not before @key; n if there is none. */
size_t sorted_position(const struct sorted *sorted, const void *key);

/** The item equal to @key, or NULL. */
void *sorted_find(const struct sorted *sorted, const void *key);

/** Put @item where @key belongs, before items that are equal. */
int sorted_insert(struct sorted *sorted, const void *key, void *item, struct error *err);

/** Take @item, which is equal to @key, out; harmless if it is not there. */
void sorted_remove(struct sorted *sorted, const void *key, const void *item);

#endif
