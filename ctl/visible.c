#include "ctl/visible.h"

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "common/cleanup.h"

void visible_use_utf8(void)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		(void)setlocale(LC_CTYPE, "");
}

/* Characters that the C library calls printable although they rearrange or break the line. */
static bool rearranges(wchar_t c)
{
	return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

static int append_escaped(struct buf *buf, const char *format, unsigned long code, size_t *columns,
			  struct error *err)
{
	char text[16];

	*columns += (size_t)snprintf(text, sizeof(text), format, code);
	return buf_append_text(buf, text, err);
}

int visible_append(struct buf *buf, const char *text, size_t *ret_columns, struct error *err)
{
	size_t left = strlen(text), columns = 0, n;
	int failed = 0;

	for (; left > 0 && failed == 0; text += n, left -= n) {
		mbstate_t state = {0};
		wchar_t c = 0;
		int width;

		n = mbrtowc(&c, text, left, &state);
		if (n == (size_t)-1 || n == (size_t)-2 || n == 0) {
			n = 1;
			failed = append_escaped(buf, "\\x%02lx", (unsigned char)*text, &columns,
						err);
			continue;
		}
		width = rearranges(c) ? -1 : wcwidth(c);
		if (width < 0) {
			failed = append_escaped(buf, c < 0x80 ? "\\x%02lx" : "\\u%04lx",
						(unsigned long)c, &columns, err);
			continue;
		}
		columns += (size_t)width;
		failed = buf_append(buf, text, n, err);
	}
	if (failed == 0 && ret_columns)
		*ret_columns = columns;
	return failed;
}

void complain(const char *format, ...)
{
	AUTO(buf_done) struct buf line = {0};
	AUTO(free_p) char *text = NULL;
	struct error ignored;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		text = NULL;
	(void)buf_printf(&line, &ignored, "%s: ", program_invocation_short_name);
	(void)visible_append(&line, text ? text : "out of memory", NULL, &ignored);
	(void)buf_append_text(&line, "\n", &ignored);
	if (line.data)
		(void)fputs(line.data, stderr);
}
