#include "common/config-file.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/number.h"

struct reader {
	const char *at, *end; /* the rest of the text */
	unsigned line;
	struct buf table, key, value;
	config_entry_fn fn;
	void *userdata;
};

static void reader_done(struct reader *r)
{
	buf_done(&r->table);
	buf_done(&r->key);
	buf_done(&r->value);
}

static int bad(const struct reader *r, struct error *err, const char *what)
{
	return error_set(err, ERR_CONFIG, "line %u: %s", r->line, what);
}

static int deliver(struct reader *r, enum config_type type, unsigned line, struct error *err)
{
	const struct config_entry entry = {
		.table = r->table.data ? r->table.data : "",
		.key = r->key.data ? r->key.data : "",
		.type = type,
		.value = r->value.data ? r->value.data : "",
		.value_len = r->value.len,
		.line = line,
	};

	return r->fn(&entry, r->userdata, err);
}

static int put_utf8(struct buf *buf, unsigned long code, struct error *err)
{
	char bytes[4];
	size_t n = 0;

	if (code < 0x80) {
		bytes[n++] = (char)code;
	} else if (code < 0x800) {
		bytes[n++] = (char)(0xc0 | code >> 6);
		bytes[n++] = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		bytes[n++] = (char)(0xe0 | code >> 12);
		bytes[n++] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (code & 0x3f));
	} else {
		bytes[n++] = (char)(0xf0 | code >> 18);
		bytes[n++] = (char)(0x80 | (code >> 12 & 0x3f));
		bytes[n++] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (code & 0x3f));
	}
	return buf_append(buf, bytes, n, err);
}

/* The @n hex digits after \u or \U. NUL and halves of surrogate pairs are not characters of a text.
 */
static int read_unicode(struct reader *r, int n, struct buf *ret, struct error *err)
{
	unsigned long code = 0;

	for (int i = 0; i < n; i++, r->at++) {
		int c = r->at < r->end ? tolower((unsigned char)*r->at) : 0;

		if (!isxdigit(c))
			return bad(r, err, "expected hexadecimal digits after \\u");
		code = code * 16 + (unsigned long)(isdigit(c) ? c - '0' : c - 'a' + 10);
	}
	if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return bad(r, err, "\\u escape is not a character");
	return put_utf8(ret, code, err);
}

/* --- TOML --------------------------------------------------------------------------------------
 */

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
		r->at++;
}

static bool at_line_end(const struct reader *r)
{
	return r->at == r->end || *r->at == '\n' || *r->at == '#' ||
	       (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n');
}

static int expect_line_end(struct reader *r, struct error *err)
{
	skip_blanks(r);
	if (!at_line_end(r))
		return bad(r, err, "unexpected text after the value");
	for (; r->at < r->end && *r->at != '\n'; r->at++) {
		if (*r->at == '\0')
			return bad(r, err, "NUL byte");
	}
	return 0;
}

static int toml_escape(struct reader *r, struct buf *ret, struct error *err)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	const char *found;
	char c = r->at < r->end ? *r->at : '\0';

	if (c == 'u' || c == 'U') {
		r->at++;
		return read_unicode(r, c == 'u' ? 4 : 8, ret, err);
	}
	found = c ? strchr(from, c) : NULL;
	if (!found)
		return bad(r, err, "unknown escape in a string");
	r->at++;
	return buf_append(ret, &to[found - from], 1, err);
}

static int toml_string(struct reader *r, struct buf *ret, struct error *err)
{
	char quote = *r->at++;

	if (r->end - r->at >= 2 && r->at[0] == quote && r->at[1] == quote)
		return bad(r, err, "multi-line strings are not supported");
	for (; r->at < r->end && *r->at != '\n' && *r->at != '\0';) {
		char c = *r->at++;

		if (c == quote)
			return buf_append(ret, "", 0, err);
		if (c == '\\' && quote == '"') {
			if (toml_escape(r, ret, err) < 0)
				return -1;
		} else if (buf_append(ret, &c, 1, err) < 0) {
			return -1;
		}
	}
	return bad(r, err, "the string does not end on its line");
}

static int toml_list(struct reader *r, struct error *err)
{
	r->at++;
	for (;;) {
		skip_blanks(r);
		if (r->at < r->end && *r->at == ']') {
			r->at++;
			return 0;
		}
		if (r->at == r->end || (*r->at != '"' && *r->at != '\''))
			return bad(r, err, "expected a list of strings on one line");
		if (toml_string(r, &r->value, err) < 0 || buf_append(&r->value, "", 1, err) < 0)
			return -1;
		skip_blanks(r);
		if (r->at < r->end && *r->at == ',')
			r->at++;
		else if (r->at == r->end || *r->at != ']')
			return bad(r, err, "expected ',' or ']' in a list");
	}
}

static size_t skip_sign(const char *text)
{
	return *text == '+' || *text == '-';
}

/* TOML has no leading zeros, so that nobody reads them as octal. */
static bool has_leading_zero(const char *text)
{
	const char *digits = text + skip_sign(text);

	return digits[0] == '0' && isdigit((unsigned char)digits[1]);
}

static bool is_float(const char *text)
{
	const char *p = text + skip_sign(text);
	size_t whole = strspn(p, "0123456789"), fraction = 0;

	p += whole;
	if (*p == '.') {
		fraction = strspn(p + 1, "0123456789");
		p += 1 + fraction;
		if (fraction == 0)
			return false;
	}
	if (*p == 'e' || *p == 'E') {
		p += 1 + skip_sign(p + 1);
		if (strspn(p, "0123456789") == 0)
			return false;
		p += strspn(p, "0123456789");
	}
	return whole > 0 && *p == '\0';
}

static const char expected_value[] =
	"expected a quoted string, a number, true, false or a list of strings";

static int toml_bare_value(struct reader *r, enum config_type *ret_type, struct error *err)
{
	const char *start = r->at;
	long long number;
	const char *text;
	bool has_plus = start < r->end && *start == '+';

	while (r->at < r->end && !isspace((unsigned char)*r->at) && *r->at != '#' && *r->at != '\0')
		r->at++;
	/* The sign says nothing; without it the text is a number for every reader. */
	start += has_plus;
	if (buf_append(&r->value, start, (size_t)(r->at - start), err) < 0)
		return -1;
	text = r->value.data;
	if (has_leading_zero(text) || (has_plus && !isdigit((unsigned char)*text)))
		return bad(r, err, expected_value);
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
		*ret_type = CONFIG_BOOLEAN;
		return 0;
	}
	if (number_parse(text, INT64_MIN, INT64_MAX, &number)) {
		*ret_type = CONFIG_INTEGER;
		return 0;
	}
	if (is_float(text)) {
		*ret_type = CONFIG_FLOAT;
		return 0;
	}
	return bad(r, err, expected_value);
}

static int toml_value(struct reader *r, enum config_type *ret_type, struct error *err)
{
	buf_truncate(&r->value, 0);
	if (r->at < r->end && (*r->at == '"' || *r->at == '\'')) {
		*ret_type = CONFIG_STRING;
		return toml_string(r, &r->value, err);
	}
	if (r->at < r->end && *r->at == '[') {
		*ret_type = CONFIG_LIST;
		return toml_list(r, err);
	}
	return toml_bare_value(r, ret_type, err);
}

static bool is_key_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static int toml_key_part(struct reader *r, struct buf *ret, struct error *err)
{
	const char *start;

	skip_blanks(r);
	if (r->at < r->end && (*r->at == '"' || *r->at == '\''))
		return toml_string(r, ret, err);
	start = r->at;
	while (r->at < r->end && is_key_byte(*r->at))
		r->at++;
	if (r->at == start)
		return bad(r, err, "expected a key");
	return buf_append(ret, start, (size_t)(r->at - start), err);
}

/* A dotted key names its table: agent.broker_port outside any table is broker_port of [agent]. */
static int toml_key(struct reader *r, struct error *err)
{
	buf_truncate(&r->key, 0);
	for (;;) {
		if (toml_key_part(r, &r->key, err) < 0)
			return -1;
		skip_blanks(r);
		if (r->at == r->end || *r->at != '.')
			return 0;
		r->at++;
		if (r->table.len > 0 && buf_append(&r->table, ".", 1, err) < 0)
			return -1;
		if (buf_append(&r->table, r->key.data, r->key.len, err) < 0)
			return -1;
		buf_truncate(&r->key, 0);
	}
}

static int toml_table(struct reader *r, struct error *err)
{
	r->at++;
	if (r->at < r->end && *r->at == '[')
		return bad(r, err, "arrays of tables are not supported");
	buf_truncate(&r->table, 0);
	for (;;) {
		if (toml_key_part(r, &r->table, err) < 0)
			return -1;
		skip_blanks(r);
		if (r->at == r->end || (*r->at != '.' && *r->at != ']'))
			return bad(r, err, "expected ']' after the table's name");
		if (*r->at++ == ']')
			return expect_line_end(r, err);
		if (buf_append(&r->table, ".", 1, err) < 0)
			return -1;
	}
}

static int toml_entry(struct reader *r, struct error *err)
{
	size_t table_len = r->table.len;
	enum config_type type = CONFIG_STRING;

	if (toml_key(r, err) < 0)
		return -1;
	if (r->at == r->end || *r->at != '=')
		return bad(r, err, "expected '=' after the key");
	r->at++;
	skip_blanks(r);
	if (toml_value(r, &type, err) < 0 || expect_line_end(r, err) < 0 ||
	    deliver(r, type, r->line, err) < 0)
		return -1;
	buf_truncate(&r->table, table_len);
	return 0;
}

static int toml_parse(struct reader *r, struct error *err)
{
	for (r->line = 1; r->at < r->end; r->line++, r->at += r->at < r->end) {
		skip_blanks(r);
		if (at_line_end(r)) {
			if (expect_line_end(r, err) < 0)
				return -1;
		} else if ((*r->at == '[' ? toml_table(r, err) : toml_entry(r, err)) < 0) {
			return -1;
		}
	}
	return 0;
}

/* --- Java properties ---------------------------------------------------------------------------
 */

static bool is_property_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f' || c == '\r';
}

static void skip_property_blanks(struct reader *r)
{
	while (r->at < r->end && is_property_blank(*r->at))
		r->at++;
}

/* After a backslash. At the end of a line it joins the next one, whose leading blanks are dropped.
 */
static int property_escape(struct reader *r, struct buf *ret, struct error *err)
{
	static const char from[] = "tnrf", to[] = "\t\n\r\f";
	const char *found;
	char c;

	if (r->at < r->end && *r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n')
		r->at++;
	if (r->at == r->end)
		return 0;
	c = *r->at++;
	if (c == '\0')
		return bad(r, err, "NUL byte");
	if (c == '\n') {
		r->line++;
		skip_property_blanks(r);
		return 0;
	}
	if (c == 'u')
		return read_unicode(r, 4, ret, err);
	found = strchr(from, c);
	return buf_append(ret, found ? &to[found - from] : &c, 1, err);
}

/* *ret_kept: so many bytes were not blanks at the end, or were blanks that somebody escaped. */
static int property_word(struct reader *r, bool is_key, struct buf *ret, size_t *ret_kept,
			 struct error *err)
{
	buf_truncate(ret, 0);
	*ret_kept = 0;
	while (r->at < r->end && *r->at != '\n') {
		char c = *r->at;

		if (is_key && (is_property_blank(c) || c == '=' || c == ':'))
			break;
		if (c == '\0')
			return bad(r, err, "NUL byte");
		r->at++;
		if (c == '\\') {
			if (property_escape(r, ret, err) < 0)
				return -1;
			*ret_kept = ret->len;
		} else if (buf_append(ret, &c, 1, err) < 0) {
			return -1;
		} else if (!is_property_blank(c)) {
			*ret_kept = ret->len;
		}
	}
	return 0;
}

static int properties_parse(struct reader *r, struct error *err)
{
	for (r->line = 1; r->at < r->end; r->line++, r->at += r->at < r->end) {
		unsigned line = r->line;
		size_t kept;

		skip_property_blanks(r);
		if (r->at == r->end || *r->at == '\n')
			continue;
		if (*r->at == '#' || *r->at == '!') {
			while (r->at < r->end && *r->at != '\n')
				r->at++;
			continue;
		}
		if (property_word(r, true, &r->key, &kept, err) < 0)
			return -1;
		skip_property_blanks(r);
		if (r->at < r->end && (*r->at == '=' || *r->at == ':'))
			r->at++;
		skip_property_blanks(r);
		if (property_word(r, false, &r->value, &kept, err) < 0)
			return -1;
		/* Java keeps blanks at the end, and everybody is surprised by it. */
		buf_truncate(&r->value, kept);
		if (deliver(r, CONFIG_TEXT, line, err) < 0)
			return -1;
	}
	return 0;
}

int config_parse(const char *text, size_t len, enum config_grammar grammar, config_entry_fn fn,
		 void *userdata, struct error *err)
{
	AUTO(reader_done)
	struct reader r = {.at = text, .end = text + len, .fn = fn, .userdata = userdata};

	return grammar == CONFIG_TOML ? toml_parse(&r, err) : properties_parse(&r, err);
}

int config_parse_file(const char *path, enum config_grammar grammar, config_entry_fn fn,
		      void *userdata, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};

	if (file_read(path, CONFIG_FILE_MAX_BYTES, &text, err) < 0)
		return -1;
	if (config_parse(text.data ? text.data : "", text.len, grammar, fn, userdata, err) < 0)
		return error_prefix(err, "%s", path);
	return 0;
}
