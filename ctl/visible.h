/** Text that came from elsewhere, on its way to a terminal. */
#ifndef CTL_VISIBLE_H
#define CTL_VISIBLE_H

#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

/**
 * Make the C library judge characters as UTF-8, whatever the caller's locale: the API speaks UTF-8
 * only. Where that cannot be had, everything beyond ASCII is shown escaped.
 */
void visible_use_utf8(void);

/**
 * Append @text. What would act on the terminal instead of being seen comes out as "\x1b" or
 * "\u202e": control characters, line separators, direction marks, bytes that are not UTF-8.
 * *ret_columns: how many columns a terminal needs for it; may be NULL.
 */
int visible_append(struct buf *buf, const char *text, size_t *ret_columns, struct error *err);

/** Print "PROGRAM: text" and a line end on standard error, as visible text. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
