/**
 * What Requirements ask about the servers of a fleet, in columns: one array for each property and
 * for each tag that was ever asked for, one row for each server. A comparison over the whole fleet
 * is then a walk along one array.
 *
 * Strings are interned, so equality is a comparison of numbers. Columns of tags are made when an
 * expression names the key for the first time; of all keys that were named the last
 * ATTRIBUTES_TAG_COLUMNS have one. Source: the API reference, "Properties".
 */
#ifndef BROKER_ATTRIBUTES_H
#define BROKER_ATTRIBUTES_H

#include <jansson.h>
#include <stdint.h>

#include "broker-lite/strings.h"
#include "common/error.h"

#define ATTRIBUTES_TAG_COLUMNS 64
#define ATTRIBUTES_NO_ROW SIZE_MAX
/** A server without a value, in a column of whole numbers; in one of reals it is a NaN, in one of
 * texts STRINGS_NONE. */
#define ATTRIBUTES_NO_WHOLE UINT64_MAX

enum property_type { PROPERTY_TEXT, PROPERTY_WHOLE, PROPERTY_REAL };

struct property {
	const char *name;  /* after "server:" */
	const char *alias; /* another spelling, or NULL */
	enum property_type type;
	const char *path[3]; /* in the object of DescribeServers; NULL: no more */
};

#define N_PROPERTIES 25
/** By number. */
extern const struct property properties[N_PROPERTIES];

/** Number of the property of this name, or -1. */
int property_find(const char *name, size_t len);

union column {
	uint32_t *texts; /* numbers in attributes::strings */
	uint64_t *wholes;
	double *reals;
};

struct tag_pair {
	uint32_t key, value; /* both in use */
};

struct row {
	bool is_used;
	struct tag_pair *tags; /* in the order of the report */
	size_t n_tags;
};

struct tag_column {
	uint32_t key; /* in use */
	uint32_t *values;
	unsigned long last_used;
};

struct attributes {
	struct strings strings;
	size_t n_rows;   /* all rows are below this */
	size_t capacity; /* a multiple of 64; rows beyond n_rows have no values */
	struct row *rows;
	union column columns[N_PROPERTIES];
	struct tag_column tag_columns[ATTRIBUTES_TAG_COLUMNS];
	size_t n_tag_columns;
	unsigned long n_lookups;
	uint64_t *scratch;  /* requirements-run.c's: a stack of bits for all rows */
	uint32_t *verdicts; /* and what it knows about strings, by their numbers */
	uint32_t n_verdicts, verdict;
};

void attributes_init(struct attributes *attributes);
void attributes_done(struct attributes *attributes);

/**
 * Set the row of a server from its object as of DescribeServers. *@row: ATTRIBUTES_NO_ROW for a
 * server that has none yet, which gets one. On failure (memory) the server has no row.
 */
int attributes_set(struct attributes *attributes, size_t *row, const json_t *server,
		   struct error *err);

/** Give the row of a server back; harmless if it has none. */
void attributes_clear(struct attributes *attributes, size_t *row);

/** Values of the tag @key by row, made if need be; valid until the next call. NULL without memory.
 */
const uint32_t *attributes_tag(struct attributes *attributes, const char *key);

#endif
