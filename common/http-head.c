#include "common/http-head.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"

#define BLOCK_BYTES 64

size_t http_head_length(const char *text, size_t len, size_t seen)
{
	const char *p = text + (seen > 3 ? seen - 3 : 0), *end = text + len;

	for (; (p = memchr(p, '\r', (size_t)(end - p))); p++) {
		if (end - p >= 4 && memcmp(p, "\r\n\r\n", 4) == 0)
			return (size_t)(p - text) + 4;
	}
	return 0;
}

static bool is_token(const char *text)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	const char *p = text;

	while (isalnum((unsigned char)*p) || *p == '-' || (*p && strchr(others, *p)))
		p++;
	return p != text && *p == '\0';
}

/* Is there any of the characters that have no place in a head, CR and LF being looked at later? In
 * blocks of a fixed size, of which the compiler makes vectors. */
static unsigned count_controls(const unsigned char *p, size_t len)
{
	unsigned n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((p[i] < 0x20) & (p[i] != '\t') & (p[i] != '\r') & (p[i] != '\n')) |
		     (p[i] == 0x7f);
	return n;
}

static bool has_control(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	for (; len >= BLOCK_BYTES; p += BLOCK_BYTES, len -= BLOCK_BYTES) {
		if (count_controls(p, BLOCK_BYTES) > 0)
			return true;
	}
	return count_controls(p, len) > 0;
}

/* In place: what is decoded is never longer. */
static int decode_path(char *path, struct error *err)
{
	char *to = path;

	for (const char *from = path; *from; from++) {
		int high, low;

		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		high = hex_digit(from[1]);
		low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0 || high * 16 + low == 0)
			return error_set(err, ERR_INVALID, "ill-formed escape in the path");
		*to++ = (char)(high * 16 + low);
		from += 2;
	}
	*to = '\0';
	return 0;
}

static int read_target(char *target, struct http_head *ret, struct error *err)
{
	char *query = strchr(target, '?');

	if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
		target = strchr(target, ':') + 3;
		target += strcspn(target, "/?");
	}
	if (query)
		*query++ = '\0';
	if (*target != '/')
		return error_set(err, ERR_INVALID, "the request's target is not a path");
	while (target[1] == '/')
		target++;
	if (decode_path(target, err) < 0)
		return -1;
	ret->path = target;
	ret->query = query ? query : "";
	return 0;
}

static int read_request_line(char *line, struct http_head *ret, struct error *err)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;

	if (!version)
		return error_set(err, ERR_INVALID, "ill-formed request line");
	*target++ = '\0';
	*version++ = '\0';
	if (!is_token(line))
		return error_set(err, ERR_INVALID, "ill-formed method");
	ret->is_1_0 = strcmp(version, "HTTP/1.0") == 0;
	if (!ret->is_1_0 && strcmp(version, "HTTP/1.1") != 0)
		return error_set(err, ERR_INVALID, "this server speaks HTTP/1.1");
	ret->method = line;
	return read_target(target, ret, err);
}

static int read_field(char *line, struct http_head *ret, struct error *err)
{
	char *value = strchr(line, ':'), *end;

	if (!value)
		return error_set(err, ERR_INVALID, "ill-formed header");
	*value++ = '\0';
	value += strspn(value, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	if (!is_token(line))
		return error_set(err, ERR_INVALID, "ill-formed header");
	if (ret->n_fields == HTTP_FIELDS_MAX)
		return error_set(err, ERR_LIMIT, "more than %d header fields", HTTP_FIELDS_MAX);
	ret->fields[ret->n_fields++] = (struct http_field){line, value};
	return 0;
}

int http_head_read(char *text, size_t len, struct http_head *ret, struct error *err)
{
	char *line = text, *end;

	ret->n_fields = 0;
	if (has_control(text, len))
		return error_set(err, ERR_INVALID, "control character in the head of the request");
	text[len - 2] = '\0'; /* the empty line: each line before it still has its end */
	for (; *line; line = end + 2) {
		end = line + strcspn(line, "\r\n");
		if (strncmp(end, "\r\n", 2) != 0)
			return error_set(err, ERR_INVALID, "ill-formed end of a line");
		*end = '\0';
		if (line == text ? read_request_line(line, ret, err) < 0
				 : read_field(line, ret, err) < 0)
			return -1;
	}
	return 0;
}

int http_head_field(const struct http_head *head, const char *name, const char **ret,
		    struct error *err)
{
	const char *found = NULL;

	for (size_t i = 0; i < head->n_fields; i++) {
		if (strcasecmp(head->fields[i].name, name) != 0)
			continue;
		if (found)
			return error_set(err, ERR_INVALID, "more than one header %s", name);
		found = head->fields[i].value;
	}
	*ret = found;
	return 0;
}

const char *http_head_last_field(const struct http_head *head, const char *name)
{
	for (size_t i = head->n_fields; i > 0; i--) {
		if (strcasecmp(head->fields[i - 1].name, name) == 0)
			return head->fields[i - 1].value;
	}
	return "";
}

static bool list_has(const char *list, const char *token)
{
	size_t len = strlen(token);

	for (const char *p = list + strspn(list, " \t,"); *p; p += strspn(p, " \t,")) {
		size_t n = strcspn(p, " \t,");

		if (n == len && strncasecmp(p, token, n) == 0)
			return true;
		p += n;
	}
	return false;
}

bool http_head_has_token(const struct http_head *head, const char *name, const char *token)
{
	for (size_t i = 0; i < head->n_fields; i++) {
		if (strcasecmp(head->fields[i].name, name) == 0 &&
		    list_has(head->fields[i].value, token))
			return true;
	}
	return false;
}
