/**
 * A growing buffer of bytes. `data` is NUL-terminated whenever it is not NULL, the NUL not counted.
 *
 * Start with `struct buf b = {0}`, end with buf_done(). Appending fails only when memory runs out;
 * the buffer then stays as it was.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stddef.h>

#include "common/error.h"

struct buf {
	char *data; /* owned; NULL when nothing was ever appended */
	size_t len;
	size_t capacity;
};

void buf_done(struct buf *buf);

/** Make room for @extra more bytes, so that appending them cannot fail. */
int buf_reserve(struct buf *buf, size_t extra, struct error *err);

int buf_append(struct buf *buf, const void *bytes, size_t len, struct error *err);
/** Put @bytes before what is there, which is moved. */
int buf_prepend(struct buf *buf, const void *bytes, size_t len, struct error *err);

int buf_append_text(struct buf *buf, const char *text, struct error *err);
int buf_printf(struct buf *buf, struct error *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Keep the first @len bytes, which must be there, and the memory of the others. */
void buf_truncate(struct buf *buf, size_t len);

/** Drop the first @len bytes, which must be there. */
void buf_consume(struct buf *buf, size_t len);

/** The contents, which now belong to the caller (free()); "" rather than NULL. The buffer is empty.
 */
char *buf_steal(struct buf *buf);

#endif
