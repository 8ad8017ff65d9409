/**
 * The head of a request: its first line and its header fields.
 * Strict where peers could understand each other differently. Sources: RFC 9112, 2 to 5; RFC 9110, 5.
 */
#ifndef COMMON_HTTP_HEAD_H
#define COMMON_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define HTTP_HEAD_MAX_BYTES 16384
#define HTTP_FIELDS_MAX 100

struct http_field {
	const char *name, *value; /* blanks around the value are not part of it */
};

/** Everything points into the text that was read. */
struct http_head {
	const char *method;
	const char *path;  /* decoded, repeated slashes at the beginning collapsed to one */
	const char *query; /* raw, without '?'; "" if there is none */
	bool is_1_0;
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t n_fields;
};

/**
 * Bytes up to the end of the head, its empty line included; 0: it is not complete.
 * @seen: bytes that were there when it was asked last.
 */
size_t http_head_length(const char *text, size_t len, size_t seen);

/**
 * Read a whole head of @len bytes, which is cut into strings. ERR_INVALID on what is ill-formed,
 * ERR_LIMIT on too many fields.
 */
int http_head_read(char *text, size_t len, struct http_head *ret, struct error *err);

/** The value of a field that may come once. NULL if absent; ERR_INVALID if it comes more than once. */
int http_head_field(const struct http_head *head, const char *name, const char **ret,
		    struct error *err);

/** The value of the last field of that name, "" if there is none: of one that may come many times. */
const char *http_head_last_field(const struct http_head *head, const char *name);

/** Is @token in the comma-separated lists of the fields of that name? In any letter case. */
bool http_head_has_token(const struct http_head *head, const char *name, const char *token);

#endif
