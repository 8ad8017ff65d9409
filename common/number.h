/** The one way from text to a whole number. */
#ifndef COMMON_NUMBER_H
#define COMMON_NUMBER_H

#include <stdbool.h>

/**
 * Read a decimal integer that fills the whole of @text: an optional '-', then digits.
 * False, with *ret untouched, if it is anything else or lies outside @min..@max.
 */
bool number_parse(const char *text, long long min, long long max, long long *ret);

#endif
