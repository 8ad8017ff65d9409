#include "common/params.h"

#include <string.h>
#include <strings.h>

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

static int read_string(const struct param *p, const json_t *value, const char **ret,
		       struct error *err)
{
	const char *text = json_string_value(value);

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

static int read_choice(const struct param *p, const json_t *value, const char **ret,
		       struct error *err)
{
	const char *text = json_string_value(value);

	for (size_t i = 0; text && p->choices[i]; i++) {
		if (strcasecmp(text, p->choices[i]) == 0) {
			*ret = p->choices[i];
			return 0;
		}
	}
	return refuse_choice(p, p->choices, err);
}

static int read_integer(const struct param *p, const json_t *value, long long *ret,
			struct error *err)
{
	if (!json_is_integer(value))
		return error_set(err, ERR_INVALID, "%s must be an integer", p->name);
	if (json_integer_value(value) < p->min || json_integer_value(value) > p->max)
		return error_set(err, ERR_INVALID, "%s must be between %lld and %lld", p->name,
				 p->min, p->max);
	*ret = json_integer_value(value);
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
		return read_string(p, value, (const char **)(void *)field, err);
	case PARAM_CHOICE:
		return read_choice(p, value, (const char **)(void *)field, err);
	case PARAM_INTEGER:
		return read_integer(p, value, (long long *)(void *)field, err);
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
	}
	return 0;
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
