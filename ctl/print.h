/** What a service answered, for people. Every text in it is the service's and shown escaped. */
#ifndef CTL_PRINT_H
#define CTL_PRINT_H

#include <jansson.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/operations.h"

/**
 * Append what was achieved: a table, or a sentence per element. What the answer lacks shows as "-";
 * ERR_INVALID only when it has nothing of what @op is asked for.
 */
int print_answer(const struct operation *op, const json_t *answer, struct buf *out,
		 struct error *err);

/**
 * Append the web address that connection data lead to. ERR_UNAVAILABLE: they lead nowhere. Source: the API
 * reference, "Session URLs and the connection token".
 */
int print_url(const json_t *answer, struct buf *out, struct error *err);

/** The list of elements that failed, borrowed; NULL if the answer has none. */
json_t *print_failures_of(const json_t *answer);

/** Append why one element failed, as a sentence without line end; not escaped. */
int print_failure(const struct operation *op, const json_t *failure, struct buf *out,
		  struct error *err);

/**
 * "2026-03-02 08:00:11" for a time of the API, in UTC like everything there; another text is as it is.
 * Borrowed from @ret or @text. NULL for NULL.
 */
#define PRINT_TIME_SIZE 64
const char *print_time(const char *text, char ret[PRINT_TIME_SIZE]);

/** Append a line that tells how to get the next page, if there is one. */
int print_next_page(const json_t *answer, struct buf *out, struct error *err);

#endif
