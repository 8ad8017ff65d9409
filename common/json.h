/**
 * JSON text in and out. jansson does the work; here are the limits that hold for bytes from
 * outside, and a few writers that jansson does not have.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

/**
 * Parse one JSON value that fills the whole text. Refused with ERR_INVALID and the spot: repeated
 * keys, text that is not UTF-8, "\u0000", more than 2048 levels, numbers out of range. *ret belongs
 * to the caller.
 */
int json_parse(const char *text, size_t len, json_t **ret, struct error *err);

/** Append @value as compact text. NULL, for what could not be made, is ERR_NO_MEMORY. */
int json_append(struct buf *buf, const json_t *value, struct error *err);

int json_append_integer(struct buf *buf, long long value, struct error *err);

/** Append @text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
int json_append_string(struct buf *buf, const char *text, struct error *err);

/** Set @key to a string, unless @text is NULL. Text that is not UTF-8 is left out. */
void json_set_text(json_t *object, const char *key, const char *text);

/** The string under @key, or NULL; borrowed. */
const char *json_get_text(const json_t *object, const char *key);

#endif
