#include "common/params.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "common/text.h"

static const struct param *find(const struct param_table *table, const char *name)
{
	for (size_t i = 0; i < table->n_params; i++) {
		const struct param *p = &table->params[i];

		if (strcmp(p->name, name) == 0 || (p->alias && strcmp(p->alias, name) == 0))
			return p;
	}
	return NULL;
}

static json_t *value_of(const struct param *p, const json_t *object)
{
	json_t *value = json_object_get(object, p->name);

	if ((!value || json_is_null(value)) && p->alias)
		value = json_object_get(object, p->alias);
	return json_is_null(value) ? NULL : value;
}

size_t params_count_characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80; /* not a continuation byte of UTF-8 */
	return n;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

static int refuse_choice(const struct param *p, const char *const *choices, struct error *err)
{
	(void)error_set(err, ERR_INVALID, "%s must be one of", p->name);
	for (size_t i = 0; choices[i]; i++)
		(void)error_set(err, ERR_INVALID, "%s%s %s", err->message, i ? "," : "",
				choices[i]);
	return -1;
}

static bool has_form(const char *text, const char *form)
{
	size_t len = strlen(form);

	if (form[len - 1] != '*')
		return strcmp(text, form) == 0;
	return strncmp(text, form, len - 1) == 0 && strlen(text) >= len;
}

static bool has_one_form(const char *text, const char *const *forms)
{
	for (size_t i = 0; forms[i]; i++) {
		if (has_form(text, forms[i]))
			return true;
	}
	return false;
}

static int read_string(const struct param *p, const char *text, const char **ret, struct error *err)
{
	if (!text)
		return error_set(err, ERR_INVALID, "%s must be a string", p->name);
	if (p->required && !p->may_be_empty && is_blank(text))
		return error_set(err, ERR_INVALID, "%s must not be blank", p->name);
	if (p->max > 0 && params_count_characters(text) > (size_t)p->max)
		return error_set(err, ERR_INVALID, "%s must have at most %lld characters", p->name,
				 p->max);
	if (p->forms && !has_one_form(text, p->forms))
		return refuse_choice(p, p->forms, err);
	*ret = text;
	return 0;
}

static int read_choice(const struct param *p, const char *text, const char **ret, struct error *err)
{
	for (size_t i = 0; text && p->choices[i]; i++) {
		if (strcasecmp(text, p->choices[i]) == 0) {
			*ret = p->choices[i];
			return 0;
		}
	}
	return refuse_choice(p, p->choices, err);
}

static int read_integer(const struct param *p, long long value, long long *ret, struct error *err)
{
	if (value < p->min || value > p->max)
		return error_set(err, ERR_INVALID, "%s must be between %lld and %lld", p->name,
				 p->min, p->max);
	*ret = value;
	return 0;
}

static int check_item(const struct param *p, const json_t *item, struct error *err)
{
	if (p->type == PARAM_OBJECTS) {
		/* Each use of a sub-table is a list of small objects, read again by its user. */
		_Alignas(max_align_t) char scratch[256];

		if (p->sub->size > sizeof(scratch))
			return error_set(err, ERR_SYSTEM, "%s: table too large", p->name);
		if (params_read(p->sub, item, scratch, err) < 0)
			return error_prefix(err, "%s", p->name);
		return 0;
	}
	if (!json_is_string(item))
		return error_set(err, ERR_INVALID, "%s must contain strings only", p->name);
	if (p->type == PARAM_STRINGS && json_string_value(item)[0] == '\0')
		return error_set(err, ERR_INVALID, "%s must not contain empty strings", p->name);
	return 0;
}

static int read_list(const struct param *p, json_t *value, json_t **ret, struct error *err)
{
	if (!json_is_array(value))
		return error_set(err, ERR_INVALID, "%s must be an array", p->name);
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (check_item(p, json_array_get(value, i), err) < 0)
			return -1;
	}
	if (json_array_size(value) > 0)
		*ret = value;
	return 0;
}

static int read_value(const struct param *p, json_t *value, char *field, struct error *err)
{
	switch (p->type) {
	case PARAM_STRING:
		return read_string(p, json_string_value(value), (const char **)(void *)field, err);
	case PARAM_CHOICE:
		return read_choice(p, json_string_value(value), (const char **)(void *)field, err);
	case PARAM_INTEGER:
		if (!json_is_integer(value))
			return error_set(err, ERR_INVALID, "%s must be an integer", p->name);
		return read_integer(p, json_integer_value(value), (long long *)(void *)field, err);
	case PARAM_BOOLEAN:
		if (!json_is_boolean(value))
			return error_set(err, ERR_INVALID, "%s must be true or false", p->name);
		*(bool *)field = json_is_true(value);
		return 0;
	case PARAM_STRINGS:
	case PARAM_TEXTS:
	case PARAM_OBJECTS:
		return read_list(p, value, (json_t **)(void *)field, err);
	}
	return error_set(err, ERR_SYSTEM, "%s: unknown type in the table", p->name);
}

static void mark_given(const struct param *p, void *ret)
{
	if (p->given)
		*(bool *)((char *)ret + p->given) = true;
}

int params_read(const struct param_table *table, const json_t *object, void *ret, struct error *err)
{
	const char *name;
	json_t *ignored;

	memset(ret, 0, table->size);
	if (!json_is_object(object))
		return error_set(err, ERR_INVALID, "expected a JSON object");
	json_object_foreach((json_t *)object, name, ignored)
	{
		if (!find(table, name))
			return error_set(err, ERR_INVALID, "Unrecognized field \"%.200s\"", name);
	}
	for (size_t i = 0; i < table->n_params; i++) {
		const struct param *p = &table->params[i];
		json_t *value = value_of(p, object);

		if (!value && p->required)
			return error_set(err, ERR_INVALID, "%s is required", p->name);
		if (value && read_value(p, value, (char *)ret + p->offset, err) < 0)
			return -1;
		if (value)
			mark_given(p, ret);
	}
	return 0;
}

/* --- without building the object --------------------------------------------------------------
 */

static char *skip_blanks(char *at)
{
	while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')
		at++;
	return at;
}

/* A string that stands for itself, cut out at @at; NULL if there is none. */
static const char *cut_string(char **at)
{
	char *text = *at, *end;

	if (*text++ != '"')
		return NULL;
	for (end = text; *end >= 0x20 && *end < 0x7f && *end != '"' && *end != '\\'; end++)
		;
	if (*end != '"')
		return NULL;
	*end = '\0';
	*at = end + 1;
	return text;
}

static int scan_integer(const struct param *p, char **at, long long *ret)
{
	size_t n = strspn(*at, "0123456789");
	long long value = 0;
	struct error ignored;

	/* No number of any table is as long; what begins with 0 is 0 or none at all. */
	if (n == 0 || n > 15 || **at == '0' || strchr(".eE", (*at)[n]))
		return -1;
	for (; n > 0; n--)
		value = value * 10 + *(*at)++ - '0';
	return read_integer(p, value, ret, &ignored);
}

static int scan_boolean(char **at, bool *ret)
{
	const char *rest = *at;

	*ret = text_skip(&rest, "true");
	if (!*ret && !text_skip(&rest, "false"))
		return -1;
	*at += rest - *at;
	return 0;
}

static int scan_value(const struct param *p, char **at, char *field)
{
	struct error ignored;

	switch (p->type) {
	case PARAM_STRING:
		return read_string(p, cut_string(at), (const char **)(void *)field, &ignored);
	case PARAM_CHOICE:
		return read_choice(p, cut_string(at), (const char **)(void *)field, &ignored);
	case PARAM_INTEGER:
		return scan_integer(p, at, (long long *)(void *)field);
	case PARAM_BOOLEAN:
		return scan_boolean(at, (bool *)field);
	default:
		return -1;
	}
}

/* One member, of which @ret_seen has the bit of its place in the table. */
static int scan_member(const struct param_table *table, char **at, void *ret, unsigned *ret_seen)
{
	const char *name = cut_string(at);
	const struct param *p = name ? find(table, name) : NULL;
	unsigned bit = p ? 1U << (p - table->params) : 0;

	*at = skip_blanks(*at);
	if (!p || *ret_seen & bit || *(*at)++ != ':')
		return -1;
	*at = skip_blanks(*at);
	if (scan_value(p, at, (char *)ret + p->offset) < 0)
		return -1;
	mark_given(p, ret);
	*ret_seen |= bit;
	*at = skip_blanks(*at);
	return 0;
}

size_t params_scan(const struct param_table *table, char *text, void *ret)
{
	unsigned seen = 0;
	char *at = text;

	assert(table->n_params <= 8 * sizeof(seen));
	memset(ret, 0, table->size);
	if (*at != '{')
		return 0;
	do {
		at = skip_blanks(at + 1);
		if (scan_member(table, &at, ret, &seen) < 0)
			return 0;
	} while (*at == ',');
	if (*at != '}')
		return 0;
	for (size_t i = 0; i < table->n_params; i++) {
		if (table->params[i].required && !(seen & 1U << i))
			return 0;
	}
	return (size_t)(at + 1 - text);
}

static bool is_given(const struct param *p, const void *request)
{
	const char *field = (const char *)request + p->offset;

	switch (p->type) {
	case PARAM_BOOLEAN:
		return *(const bool *)field;
	case PARAM_INTEGER:
		return *(const long long *)(const void *)field != 0;
	default:
		return *(const void *const *)(const void *)field != NULL;
	}
}

int params_check_scope(const struct param_table *table, const void *request, const char *scope,
		       struct error *err)
{
	for (size_t i = 0; i < table->n_params; i++) {
		const struct param *p = &table->params[i];

		if (!is_given(p, request))
			continue;
		if (p->only_for && strcmp(p->only_for, scope) != 0)
			return error_set(err, ERR_UNSUPPORTED,
					 "%s is not supported for %s sessions", p->name, scope);
		if (p->needs && !is_given(find(table, p->needs), request))
			return error_set(err, ERR_INVALID, "%s needs %s", p->name, p->needs);
	}
	return 0;
}

json_t *params_echo(const struct param_table *table, const json_t *object)
{
	json_t *echo = json_object();

	for (size_t i = 0; echo && i < table->n_params; i++) {
		const struct param *p = &table->params[i];
		json_t *value = value_of(p, object);

		if (value && json_object_set(echo, p->name, value) < 0) {
			json_decref(echo);
			return NULL;
		}
	}
	return echo;
}
