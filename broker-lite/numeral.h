/**
 * Numbers as the Requirements language writes them, exact where a double would not be: digits with
 * an optional sign, fraction and exponent. Source: the API reference, "Grammar" and "Meaning".
 */
#ifndef BROKER_NUMERAL_H
#define BROKER_NUMERAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct numeral {
	double approximate;
	long long exact; /* only if is_exact */
	bool is_exact;   /* written without fraction and exponent, and fits */
};

/** Length of the number that @text begins with, 0 if it begins with none. */
size_t numeral_length(const char *text);

/** Read @text if all of it is a number; else false, with *ret untouched. */
bool numeral_read(const char *text, struct numeral *ret);

/** Negative, 0 or positive. Whole numbers compare exactly, all others as IEEE doubles. */
int numeral_compare(const struct numeral *a, const struct numeral *b);

/** Above every whole number that a server reports. */
#define NUMERAL_WHOLE_END (UINT64_C(1) << 63)

/**
 * Where @numeral stands among the whole numbers from 0 up: the least one that is not below it, and
 * the least one above it; NUMERAL_WHOLE_END if there is none. Agrees with numeral_compare().
 */
void numeral_bounds(const struct numeral *numeral, uint64_t *ret_at_least, uint64_t *ret_above);

#endif
