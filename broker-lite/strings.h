/**
 * Strings that occur many times, each kept once and known by a small number, so that whether two
 * are the same is one comparison, and what a string reads as is found out once.
 */
#ifndef BROKER_STRINGS_H
#define BROKER_STRINGS_H

#include <jansson.h>
#include <stdint.h>

#include "broker-lite/numeral.h"
#include "common/error.h"

/** No string; never the number of one. */
#define STRINGS_NONE 0

struct interned {
	char *text; /* NULL: the number is free */
	unsigned n_uses;
	bool has_number;
	struct numeral number; /* what the text reads as */
	uint32_t next_free;
};

struct strings {
	json_t *index; /* text to number */
	struct interned *items;
	uint32_t n, capacity; /* n: all numbers are below this */
	uint32_t first_free;  /* STRINGS_NONE: none below n */
};

void strings_init(struct strings *strings);
void strings_done(struct strings *strings);

/** The number of @text, valid until it is released as often as it was obtained; STRINGS_NONE
 * without memory. */
uint32_t strings_obtain(struct strings *strings, const char *text);

/** One use less; harmless with STRINGS_NONE. */
void strings_release(struct strings *strings, uint32_t number);

/** The number of @text if somebody uses it, else STRINGS_NONE. */
uint32_t strings_find(const struct strings *strings, const char *text);

#endif
