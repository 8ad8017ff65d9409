/**
 * The ids that a describe operation asks for. A body has room for hundreds of thousands of them,
 * so they are looked up by halving.
 */
#ifndef BROKER_WANTED_H
#define BROKER_WANTED_H

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

struct wanted {
	const char **ids; /* sorted; borrowed from the JSON. NULL: every id */
	size_t n;
};

/** @ids: an array of strings, or NULL for all. */
int wanted_init(struct wanted *wanted, const json_t *ids, struct error *err);

bool wanted_has(const struct wanted *wanted, const char *id);

void wanted_done(struct wanted *wanted);

#endif
