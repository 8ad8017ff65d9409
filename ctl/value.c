#include "ctl/value.h"

#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/number.h"
#include "common/permissions.h"
#include "common/text.h"
#include "ctl/url.h"

#define BLANKS " \t\r\n"

static int bad(const struct option_spec *spec, struct error *err, const char *what)
{
	return error_set(err, ERR_INVALID, "--%s %s", spec->name, what);
}

/* The reference to @item is taken. */
static int replace(const struct option_spec *spec, json_t **value, json_t *item, struct error *err)
{
	if (!item)
		return bad(spec, err, "is not UTF-8 text");
	json_decref(*value);
	*value = item;
	return 0;
}

static int append(const struct option_spec *spec, json_t **value, json_t *item, struct error *err)
{
	if (!item)
		return bad(spec, err, "is not UTF-8 text");
	if (!*value)
		*value = json_array();
	return json_array_append_new(*value, item) < 0 ? error_oom(err) : 0;
}

static int read_text(const struct option_spec *spec, const struct param *param, const char *text,
		     json_t **value, struct error *err)
{
	if (param && param->required && text[strspn(text, BLANKS)] == '\0')
		return bad(spec, err, "must not be blank");
	return replace(spec, value, json_string(text), err);
}

static int read_flag(const struct option_spec *spec, const char *text, json_t **value,
		     struct error *err)
{
	if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0)
		return bad(spec, err, "is a flag: it takes no value but true or false");
	return replace(spec, value, json_boolean(strcasecmp(text, "true") == 0), err);
}

static int read_integer(const struct option_spec *spec, const struct param *param, const char *text,
			json_t **value, struct error *err)
{
	long long min = spec->min ? spec->min : param ? param->min : 0;
	long long max = spec->max ? spec->max : param ? param->max : 0;
	long long number;

	if (!number_parse(text, min, max, &number))
		return error_set(err, ERR_INVALID, "--%s must be a number between %lld and %lld",
				 spec->name, min, max);
	return replace(spec, value, json_integer(number), err);
}

static int read_choice(const struct option_spec *spec, const struct param *param, const char *text,
		       json_t **value, struct error *err)
{
	const char *const *choices = spec->choices ? spec->choices : param->choices;

	for (size_t i = 0; choices[i]; i++) {
		if (strcasecmp(text, choices[i]) == 0)
			return replace(spec, value, json_string(choices[i]), err);
	}
	(void)error_set(err, ERR_INVALID, "--%s must be", spec->name);
	for (size_t i = 0; choices[i]; i++)
		(void)error_set(err, ERR_INVALID, "%s %s%s", err->message, i ? "or " : "",
				choices[i]);
	return -1;
}

static int read_url(const struct option_spec *spec, enum option_kind kind, const char *text,
		    json_t **value, struct error *err)
{
	if (url_check(text, kind == OPTION_URL, err) < 0)
		return error_prefix(err, "--%s", spec->name);
	return replace(spec, value, json_string(text), err);
}

static int append_item(const struct option_spec *spec, const char *item, size_t len, json_t **value,
		       struct error *err)
{
	while (len > 0 && strchr(BLANKS, item[len - 1]))
		len--;
	while (len > 0 && strchr(BLANKS, *item)) {
		item++;
		len--;
	}
	if (len == 0)
		return bad(spec, err, "has an empty element in its list");
	return append(spec, value, json_stringn(item, len), err);
}

/* "\," is a comma that does not part; any other backslash is just itself. */
static int read_list(const struct option_spec *spec, const char *text, json_t **value,
		     struct error *err)
{
	AUTO(buf_done) struct buf item = {0};

	for (const char *p = text;; p++) {
		if (*p == ',' || *p == '\0') {
			if (append_item(spec, item.data ? item.data : "", item.len, value, err) < 0)
				return -1;
			if (*p == '\0')
				return 0;
			buf_consume(&item, item.len);
			continue;
		}
		p += *p == '\\' && p[1] == ',';
		if (buf_append(&item, p, 1, err) < 0)
			return -1;
	}
}

static int append_filter(const struct option_spec *spec, const char *key, size_t key_len,
			 const char *text, json_t **value, struct error *err)
{
	return append(spec, value, json_pack("{s:s%, s:s}", "Key", key, key_len, "Value", text),
		      err);
}

static int read_filter(const struct option_spec *spec, const char *text, json_t **value,
		       struct error *err)
{
	const char *equals = strchr(text, '=');

	if (!equals || equals == text)
		return bad(spec, err, "must be KEY=VALUE");
	return append_filter(spec, text, (size_t)(equals - text), equals + 1, value, err);
}

static int replace_encoded(const struct option_spec *spec, const struct buf *contents,
			   json_t **value, struct error *err)
{
	AUTO(buf_done) struct buf encoded = {0};

	if (base64_append(&encoded, contents->data, contents->len, err) < 0)
		return -1;
	return replace(spec, value, json_string(encoded.data ? encoded.data : ""), err);
}

static int read_file(const struct option_spec *spec, enum option_kind kind, const char *text,
		     json_t **value, struct error *err)
{
	AUTO(buf_done) struct buf contents = {0}, decoded = {0};
	bool is_forced = *text == '@';
	struct error unread;

	if (file_read(text + is_forced, PERMISSIONS_FILE_MAX_BYTES, &contents, &unread) == 0)
		return replace_encoded(spec, &contents, value, err);
	if (kind == OPTION_FILE || is_forced || unread.code == ERR_TOO_LARGE)
		return error_set(err, ERR_INVALID, "--%s: %s", spec->name, unread.message);
	if (base64_decode(text, &decoded, err) < 0)
		return bad(spec, err, "is neither a file that can be read nor base64");
	return replace(spec, value, json_string(text), err);
}

int value_read(const struct option_spec *spec, enum option_kind kind, const struct param *param,
	       const char *text, json_t **value, struct error *err)
{
	switch (kind) {
	case OPTION_BY_FIELD:
	case OPTION_TEXT:
		return read_text(spec, param, text, value, err);
	case OPTION_FLAG:
	case OPTION_LOOSE_FLAG:
		return read_flag(spec, text, value, err);
	case OPTION_INTEGER:
		return read_integer(spec, param, text, value, err);
	case OPTION_CHOICE:
		return read_choice(spec, param, text, value, err);
	case OPTION_URL:
	case OPTION_BASE_URL:
		return read_url(spec, kind, text, value, err);
	case OPTION_LIST:
	case OPTION_EACH:
		return read_list(spec, text, value, err);
	case OPTION_FILTER:
		return read_filter(spec, text, value, err);
	case OPTION_OWNER:
		return append_filter(spec, "owner", 5, text, value, err);
	case OPTION_FILE:
	case OPTION_FILE_OR_TEXT:
		return read_file(spec, kind, text, value, err);
	}
	return error_set(err, ERR_SYSTEM, "--%s: unknown kind", spec->name);
}
