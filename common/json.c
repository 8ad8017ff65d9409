#include "common/json.h"

#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/text.h"

#define NAME_SHOWN_MAX 100

/* Clients look for the field's name in what they are told, and the parser does not know it: put the
 * name of the member before the number that ends at @end in front. */
static void prefix_name(const char *text, size_t end, struct error *err)
{
	const char *colon = memrchr(text, ':', end), *name, *close;

	close = colon ? memrchr(text, '"', (size_t)(colon - text)) : NULL;
	name = close ? memrchr(text, '"', (size_t)(close - text)) : NULL;
	if (name && close - name <= NAME_SHOWN_MAX)
		(void)error_prefix(err, "%.*s", (int)(close - name - 1), name + 1);
}

int json_parse(const char *text, size_t len, json_t **ret, struct error *err)
{
	json_error_t problem;
	json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);

	if (!value) {
		(void)error_set(err, ERR_INVALID, "invalid JSON at line %d, column %d: %s",
				problem.line, problem.column, problem.text);
		if (json_error_code(&problem) == json_error_numeric_overflow &&
		    problem.position > 0 && (size_t)problem.position <= len)
			prefix_name(text, (size_t)problem.position, err);
		return -1;
	}
	*ret = value;
	return 0;
}

static int append_chunk(const char *bytes, size_t len, void *userdata)
{
	struct error err;

	return buf_append(userdata, bytes, len, &err);
}

/* As many digits as any decimal of that length keeps: 1.43, not 1.4299999999999999. */
static int append_real(struct buf *buf, const json_t *value, struct error *err)
{
	if (json_dump_callback(value, append_chunk, buf,
			       JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) == 0)
		return 0;
	return error_oom(err);
}

int json_append_integer(struct buf *buf, long long value, struct error *err)
{
	char digits[24], *end = digits + sizeof(digits), *p = end;
	unsigned long long left = value < 0 ? 0 - (unsigned long long)value
					    : (unsigned long long)value;

	do
		*--p = (char)('0' + left % 10);
	while (left /= 10);
	if (value < 0)
		*--p = '-';
	return buf_append(buf, p, (size_t)(end - p), err);
}

static int append_value(struct buf *buf, const json_t *value, struct error *err);

static int append_object(struct buf *buf, const json_t *object, struct error *err)
{
	const char *key, *separator = "{";
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		if (buf_append(buf, separator, 1, err) < 0 ||
		    json_append_string(buf, key, err) < 0 || buf_append(buf, ":", 1, err) < 0 ||
		    append_value(buf, value, err) < 0)
			return -1;
		separator = ",";
	}
	return buf_append_text(buf, *separator == ',' ? "}" : "{}", err);
}

static int append_array(struct buf *buf, const json_t *array, struct error *err)
{
	if (buf_append(buf, "[", 1, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(array); i++) {
		if ((i > 0 && buf_append(buf, ",", 1, err) < 0) ||
		    append_value(buf, json_array_get(array, i), err) < 0)
			return -1;
	}
	return buf_append(buf, "]", 1, err);
}

static int append_value(struct buf *buf, const json_t *value, struct error *err)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return append_object(buf, value, err);
	case JSON_ARRAY:
		return append_array(buf, value, err);
	case JSON_STRING:
		return json_append_string(buf, json_string_value(value), err);
	case JSON_INTEGER:
		return json_append_integer(buf, json_integer_value(value), err);
	case JSON_REAL:
		return append_real(buf, value, err);
	case JSON_TRUE:
		return buf_append(buf, "true", 4, err);
	case JSON_FALSE:
		return buf_append(buf, "false", 5, err);
	case JSON_NULL:
		return buf_append(buf, "null", 4, err);
	}
	return error_set(err, ERR_SYSTEM, "unknown kind of JSON value");
}

/* By ourselves, because every relayed command and every answer goes through here: jansson hands
 * out a piece for each bracket and comma. */
int json_append(struct buf *buf, const json_t *value, struct error *err)
{
	size_t start = buf->len;

	if (!value) /* what could not be made */
		return error_oom(err);
	if (append_value(buf, value, err) == 0)
		return 0;
	buf_truncate(buf, start);
	return -1;
}

static int append_character(struct buf *buf, const unsigned char *p, size_t n, struct error *err)
{
	if (n == 0)
		return buf_append_text(buf, "\xef\xbf\xbd", err);
	if (*p == '"' || *p == '\\')
		return buf_printf(buf, err, "\\%c", *p);
	if (*p < 0x20)
		return buf_printf(buf, err, "\\u%04x", *p);
	return buf_append(buf, p, n, err);
}

/* Is one of these eight no ASCII, a control character, '"' or '\\'? A byte's highest bit tells. What is
 * borrowed by one byte from the next only follows one that tells already. */
static bool has_special(uint64_t word)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t quotes = (word ^ each * '"') - each, slashes = (word ^ each * '\\') - each;

	return ((word | (word - each * 0x20) | quotes | slashes) & each * 0x80) != 0;
}

/* Characters at @p that stand for themselves, @len at most. */
static size_t plain_length(const unsigned char *p, size_t len)
{
	uint64_t word;
	size_t n = 0;

	for (; n + sizeof(word) <= len; n += sizeof(word)) {
		memcpy(&word, p + n, sizeof(word));
		if (has_special(word))
			break;
	}
	while (n < len && p[n] >= 0x20 && p[n] < 0x80 && p[n] != '"' && p[n] != '\\')
		n++;
	return n;
}

int json_append_string(struct buf *buf, const char *text, struct error *err)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + strlen(text);
	size_t start = buf->len, n;
	int result = buf_append(buf, "\"", 1, err);

	while (result == 0 && p < end) {
		n = plain_length(p, (size_t)(end - p));
		if (n > 0) {
			result = buf_append(buf, p, n, err);
		} else {
			n = utf8_length((const char *)p);
			result = append_character(buf, p, n, err);
		}
		p += n ? n : 1;
	}
	if (result == 0 && buf_append(buf, "\"", 1, err) == 0)
		return 0;
	buf_truncate(buf, start);
	return -1;
}

void json_set_text(json_t *object, const char *key, const char *text)
{
	if (text)
		(void)json_object_set_new(object, key, json_string(text));
}

const char *json_get_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}
