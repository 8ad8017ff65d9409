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

/** Which pairs of bytes follow each other in a text, two bits for each that others may share (a
 * Bloom filter): a text that lacks a bit of another does not contain it. */
struct pairs {
	uint64_t bits[4];
};

struct pairs pairs_of(const char *text);

/** May a text with the pairs @whole contain one with the pairs @part? */
static inline bool pairs_may_contain(const struct pairs *whole, const struct pairs *part)
{
	return !((part->bits[0] & ~whole->bits[0]) | (part->bits[1] & ~whole->bits[1]) |
		 (part->bits[2] & ~whole->bits[2]) | (part->bits[3] & ~whole->bits[3]));
}

#define INTERNED_SHORT_BYTES 44

/** A text of its own. A short one lies in its item, where it is found without another look into memory. */
struct interned {
	char *long_text; /* NULL: it is short */
	uint32_t n_uses; /* 0: the number is free */
	uint32_t next_free;
	uint32_t len; /* bytes */
	char short_text[INTERNED_SHORT_BYTES];
};

static inline const char *interned_text(const struct interned *item)
{
	return item->long_text ? item->long_text : item->short_text;
}

/** What a text reads as. */
struct reading {
	bool has_number;
	struct numeral number;
};

struct strings {
	json_t *index; /* text to number */
	struct interned *items;
	struct pairs *pairs;      /* of the texts; by themselves, so that many fit into the cache */
	struct reading *readings; /* of the texts */
	uint32_t n, capacity;     /* n: all numbers are below this */
	uint32_t first_free;      /* STRINGS_NONE: none below n */
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
