#include "ctl/indent.h"

#include <string.h>

static void new_line(FILE *out, unsigned depth)
{
	(void)fprintf(out, "\n%*s", (int)depth * 2, "");
}

/* The length of the string that begins at @p, with both quotes. */
static size_t string_length(const char *p, const char *end)
{
	const char *at = p + 1;

	while (at < end && *at != '"')
		at += *at == '\\' ? 2 : 1;
	return (size_t)((at < end ? at + 1 : end) - p);
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && strchr(" \t\r\n", *p))
		p++;
	return p;
}

/* An opening bracket: "[]" stays on its line. Returns where to go on. */
static const char *open_bracket(FILE *out, const char *p, const char *end, unsigned *depth)
{
	const char *next = skip_blanks(p + 1, end);

	(void)fputc(*p, out);
	if (next < end && (*next == ']' || *next == '}')) {
		(void)fputc(*next, out);
		return next + 1;
	}
	new_line(out, ++*depth);
	return next;
}

void indent_json(FILE *out, const char *json, size_t len)
{
	const char *end = json + len, *p = skip_blanks(json, end);
	unsigned depth = 0;
	size_t n;

	for (; p < end; p = skip_blanks(p, end)) {
		n = 1;
		if (*p == '[' || *p == '{') {
			p = open_bracket(out, p, end, &depth);
			continue;
		}
		if (*p == ']' || *p == '}')
			new_line(out, depth > 0 ? --depth : 0);
		else if (*p == '"')
			n = string_length(p, end);
		(void)fwrite(p, 1, n, out);
		if (*p == ',')
			new_line(out, depth);
		else if (*p == ':')
			(void)fputc(' ', out);
		p += n;
	}
	(void)fputc('\n', out);
}
