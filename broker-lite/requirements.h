/**
 * The Requirements language: a boolean expression over the tags and properties of one server.
 * Parsed once into a small program, which is run over the columns of a whole fleet at a time.
 * Source: the API reference, "The Requirements language".
 */
#ifndef BROKER_REQUIREMENTS_H
#define BROKER_REQUIREMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker-lite/attributes.h"
#include "common/buf.h"
#include "common/error.h"

/** Parentheses within parentheses. */
#define REQUIREMENTS_NESTING_MAX 64
/** Values that evaluation keeps at most: the left sides of the OR and of the AND that are open on
 * each level, and the one at hand. */
#define REQUIREMENTS_STACK_MAX (2 * (REQUIREMENTS_NESTING_MAX + 1) + 1)

struct requirements;

/**
 * Parse @text. *ret is NULL when it is blank: anything will do. ERR_INVALID with "Invalid
 * requirements: " and the spot.
 */
int requirements_parse(const char *text, struct requirements **ret, struct error *err);

/** Takes NULL. */
void requirements_free(struct requirements *requirements);

/**
 * Which of the @n rows from @first on fulfil them? *ret has a bit for each row of @attributes, row
 * r in bit r % 64 of word r / 64; bits of other rows mean nothing. Borrowed from @attributes, valid
 * until the next run. Fails for lack of memory only, and needs some only when a tag is asked for
 * that was not asked for lately.
 */
int requirements_match(const struct requirements *requirements, struct attributes *attributes,
		       size_t first, size_t n, const uint64_t **ret, struct error *err);

/** Is the bit of @row set in what requirements_match() gave? */
bool requirements_bit(const uint64_t *bits, size_t row);

/** For people: append each comparison as it was written that does not hold for @row, with the value
 * that the server has, comma separated. */
int requirements_explain(const struct requirements *requirements, struct attributes *attributes,
			 size_t row, struct buf *ret, struct error *err);

#endif
