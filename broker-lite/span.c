#include "broker-lite/span.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DEPTH_MAX 64

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *skip_escape(const char *p)
{
	if (*p != 'u')
		return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : NULL;
	for (int i = 1; i <= 4; i++) {
		if (!isxdigit((unsigned char)p[i]))
			return NULL;
	}
	return p + 5;
}

/* Is there a control character in these eight bytes? What else is wrong with a text does not matter
 * here. A byte below 0x20 borrows from its highest bit; one above 0x7f has that bit set itself. */
static bool has_control(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return ((word - 0x2020202020202020U) & ~word & 0x8080808080808080U) != 0;
}

/* Characters at @p that stand for themselves. An image is one long string, so it is looked for its
 * end by memchr(), which is as fast as memory. */
static const char *skip_plain(const char *p, const char *end)
{
	const char *quote = memchr(p, '"', (size_t)(end - p));
	const char *escape;

	end = quote ? quote : end;
	escape = memchr(p, '\\', (size_t)(end - p));
	end = escape ? escape : end;
	while (end - p >= (ptrdiff_t)sizeof(uint64_t) && !has_control(p))
		p += sizeof(uint64_t);
	while (p < end && (unsigned char)*p >= 0x20)
		p++;
	return p;
}

static const char *skip_string(const char *p, const char *end)
{
	if (*p++ != '"')
		return NULL;
	while (p) {
		p = skip_plain(p, end);
		if (*p == '"')
			return p + 1;
		if (*p != '\\')
			return NULL;
		p = skip_escape(p + 1);
	}
	return NULL;
}

static const char *skip_digits(const char *p)
{
	size_t n = strspn(p, "0123456789");

	return n > 0 ? p + n : NULL;
}

static const char *skip_number(const char *p)
{
	p += *p == '-';
	p = *p == '0' ? p + 1 : skip_digits(p);
	if (p && *p == '.')
		p = skip_digits(p + 1);
	if (p && (*p == 'e' || *p == 'E')) {
		p++;
		p = skip_digits(p + (*p == '+' || *p == '-'));
	}
	return p;
}

static const char *skip_word(const char *p)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < 3; i++) {
		if (strncmp(p, words[i], strlen(words[i])) == 0)
			return p + strlen(words[i]);
	}
	return NULL;
}

static const char *skip_scalar(const char *p, const char *end)
{
	if (*p == '"')
		return skip_string(p, end);
	return *p == '-' || isdigit((unsigned char)*p) ? skip_number(p) : skip_word(p);
}

/* After '{' or ',' in an object: the key and its colon. */
static const char *skip_key(const char *p, const char *end)
{
	p = skip_string(skip_blanks(p), end);
	if (!p)
		return NULL;
	p = skip_blanks(p);
	return *p == ':' ? p + 1 : NULL;
}

size_t json_object_span(const char *text, size_t len)
{
	char closers[DEPTH_MAX];
	size_t depth = 0;
	const char *p = text, *end = text + len;

	if (*p != '{')
		return 0;
	do {
		bool is_open = *p == '{' || *p == '[';

		/* A value begins at p. */
		if (is_open) {
			if (depth == DEPTH_MAX)
				return 0;
			closers[depth++] = *p == '{' ? '}' : ']';
			p = skip_blanks(p + 1);
			if (*p != closers[depth - 1]) {
				p = closers[depth - 1] == '}' ? skip_key(p, end) : p;
				if (!p)
					return 0;
				p = skip_blanks(p);
				continue;
			}
		} else {
			p = skip_scalar(p, end);
			if (!p)
				return 0;
		}
		/* A value, or an empty list that is closed at p, has ended. */
		p = skip_blanks(p);
		while (depth > 0 && *p == closers[depth - 1]) {
			p++;
			if (--depth > 0)
				p = skip_blanks(p);
		}
		if (depth == 0)
			break;
		if (*p != ',')
			return 0;
		p = closers[depth - 1] == '}' ? skip_key(p + 1, end) : p + 1;
		if (!p)
			return 0;
		p = skip_blanks(p);
	} while (depth > 0);
	return (size_t)(p - text) <= len ? (size_t)(p - text) : 0;
}
