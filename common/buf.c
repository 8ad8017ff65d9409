#include "common/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_done(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

int buf_reserve(struct buf *buf, size_t extra, struct error *err)
{
	size_t needed, capacity;
	char *data;

	if (__builtin_add_overflow(buf->len, extra, &needed) || needed > SIZE_MAX / 2)
		return error_oom(err);
	needed++; /* the NUL */
	if (needed <= buf->capacity)
		return 0;
	capacity = buf->capacity ? buf->capacity : 64;
	while (capacity < needed)
		capacity *= 2;
	data = realloc(buf->data, capacity);
	if (!data)
		return error_oom(err);
	buf->data = data;
	buf->data[buf->len] = '\0';
	buf->capacity = capacity;
	return 0;
}

int buf_append(struct buf *buf, const void *bytes, size_t len, struct error *err)
{
	if (buf_reserve(buf, len, err) < 0)
		return -1;
	if (len > 0)
		memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return 0;
}

int buf_prepend(struct buf *buf, const void *bytes, size_t len, struct error *err)
{
	if (buf_reserve(buf, len, err) < 0)
		return -1;
	memmove(buf->data + len, buf->data, buf->len + 1);
	memcpy(buf->data, bytes, len);
	buf->len += len;
	return 0;
}

int buf_append_text(struct buf *buf, const char *text, struct error *err)
{
	return buf_append(buf, text, strlen(text), err);
}

int buf_printf(struct buf *buf, struct error *err, const char *format, ...)
{
	va_list args, again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || buf_reserve(buf, (size_t)len, err) < 0) {
		va_end(again);
		return len < 0 ? error_set(err, ERR_SYSTEM, "cannot format text") : -1;
	}
	(void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
	va_end(again);
	buf->len += (size_t)len;
	return 0;
}

void buf_truncate(struct buf *buf, size_t len)
{
	assert(len <= buf->len);
	buf->len = len;
	if (buf->data)
		buf->data[len] = '\0';
}

void buf_consume(struct buf *buf, size_t len)
{
	assert(len <= buf->len);
	if (len == 0)
		return;
	memmove(buf->data, buf->data + len, buf->len - len + 1);
	buf->len -= len;
}

char *buf_steal(struct buf *buf)
{
	char *data = buf->data ? buf->data : strdup("");

	*buf = (struct buf){0};
	return data;
}
