#include "common/http-form.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"

static char *form_decode(const char *text, size_t len)
{
	char *value = malloc(len + 1), *out = value;

	for (size_t i = 0; value && i < len; i++) {
		/* "%00" stays as it is: a NUL would hide what follows it */
		if (text[i] == '%' && i + 2 < len && hex_digit(text[i + 1]) >= 0 &&
		    hex_digit(text[i + 2]) >= 0 && strncmp(text + i, "%00", 3) != 0) {
			*out++ = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
			i += 2;
		} else {
			*out++ = text[i] == '+' ? ' ' : text[i];
		}
	}
	if (value)
		*out = '\0';
	return value;
}

char *http_form_value(const char *form, const char *name)
{
	size_t name_len = strlen(name);

	for (const char *p = form; *p; p += strcspn(p, "&"), p += *p == '&') {
		if (strncmp(p, name, name_len) == 0 && p[name_len] == '=')
			return form_decode(p + name_len + 1, strcspn(p + name_len + 1, "&"));
	}
	return NULL;
}

int http_percent_append(struct buf *buf, const char *text, struct error *err)
{
	static const char digits[] = "0123456789ABCDEF";
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	while (*text) {
		size_t n = strspn(text, plain);
		const char escape[3] = {'%', digits[(unsigned char)text[n] >> 4],
					digits[(unsigned char)text[n] & 15]};

		if (buf_append(buf, text, n, err) < 0)
			return -1;
		text += n;
		if (*text++ == '\0')
			return 0;
		if (buf_append(buf, escape, sizeof(escape), err) < 0)
			return -1;
	}
	return 0;
}
