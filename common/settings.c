#include "common/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/number.h"

#define N_SETTINGS_MAX 128

struct loading {
	const struct setting *settings;
	size_t n_settings;
	char *config;
	const char *path;
	unsigned line_of[N_SETTINGS_MAX]; /* where a setting was last given, 0 for never */
};

static bool same_key(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		int ca = *a == '-' ? '_' : tolower((unsigned char)*a);
		int cb = *b == '-' ? '_' : tolower((unsigned char)*b);

		if (ca != cb)
			return false;
	}
	return *a == *b;
}

static bool is_integer(const struct setting *s)
{
	return s->type == SETTING_INTEGER || (s->type == SETTING_FOREIGN && s->max > 0);
}

void setting_describe(const struct setting *s, char *ret, size_t size)
{
	if (s->type == SETTING_BOOLEAN)
		(void)snprintf(ret, size, "true or false");
	else if (s->type == SETTING_LIST)
		(void)snprintf(ret, size, "a list of %s",
			       s->check && strcmp(s->check, CHECK_PATH) == 0 ? "absolute paths"
									     : "strings");
	else if (s->type == SETTING_MINUTES)
		(void)snprintf(ret, size,
			       "minutes from %lld to %lld, or a time such as '90s', '5m' or '2h'",
			       s->min, s->max);
	else if (is_integer(s))
		(void)snprintf(ret, size, "an integer from %lld to %lld", s->min, s->max);
	else if (!s->check)
		(void)snprintf(ret, size, "a string");
	else if (strcmp(s->check, CHECK_TEXT) == 0)
		(void)snprintf(ret, size, "a string that is not empty");
	else if (strcmp(s->check, CHECK_PATH) == 0)
		(void)snprintf(ret, size, "an absolute path");
	else
		(void)snprintf(ret, size, "one of %s", s->check);
}

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	if (strchr(value, '|'))
		return false;
	for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
		if (strncmp(p, value, len) == 0 && (p[len] == '|' || p[len] == '\0'))
			return len > 0;
	}
	return false;
}

static bool passes_check(const struct setting *s, const char *value)
{
	if (!s->check)
		return true;
	if (strcmp(s->check, CHECK_TEXT) == 0)
		return value[0] != '\0';
	if (strcmp(s->check, CHECK_PATH) == 0)
		return value[0] == '/';
	return is_choice(s->check, value);
}

static bool set_string(const struct setting *s, const struct config_entry *entry, char **field)
{
	if ((entry->type != CONFIG_STRING && entry->type != CONFIG_TEXT) ||
	    !passes_check(s, entry->value))
		return false;
	free(*field);
	*field = strdup(entry->value);
	return true;
}

static bool set_list(const struct setting *s, const struct config_entry *entry, char **field)
{
	const char *end = entry->value + entry->value_len;
	char *list;

	if (entry->type != CONFIG_LIST)
		return false;
	for (const char *item = entry->value; item < end; item += strlen(item) + 1) {
		if (*item == '\0' || !passes_check(s, item))
			return false;
	}
	list = calloc(1, entry->value_len + 1);
	if (!list)
		return false;
	memcpy(list, entry->value, entry->value_len);
	free(*field);
	*field = list;
	return true;
}

static bool set_boolean(const struct config_entry *entry, bool *field)
{
	if (entry->type != CONFIG_BOOLEAN && entry->type != CONFIG_TEXT)
		return false;
	if (strcasecmp(entry->value, "true") != 0 && strcasecmp(entry->value, "false") != 0)
		return false;
	*field = strcasecmp(entry->value, "true") == 0;
	return true;
}

static bool set_integer(const struct setting *s, const struct config_entry *entry, long long *field)
{
	return (entry->type == CONFIG_INTEGER || entry->type == CONFIG_TEXT) &&
	       number_parse(entry->value, s->min, s->max, field);
}

/* Minutes, or a number with its unit. */
static bool set_minutes(const struct setting *s, const struct config_entry *entry, long long *field)
{
	static const struct {
		char letter;
		long long seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
	size_t len = strlen(entry->value);
	long long number, seconds;
	char text[24];

	if (set_integer(s, entry, &number)) {
		*field = number * 60;
		return true;
	}
	if ((entry->type != CONFIG_STRING && entry->type != CONFIG_TEXT) || len < 2 ||
	    len >= sizeof(text))
		return false;
	(void)snprintf(text, len, "%s", entry->value); /* without the unit */
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (entry->value[len - 1] != units[i].letter)
			continue;
		seconds = units[i].seconds;
		if (!number_parse(text, 0, s->max * 60 / seconds, &number) ||
		    number * seconds < s->min * 60)
			return false;
		*field = number * seconds;
		return true;
	}
	return false;
}

static bool set_value(const struct setting *s, const struct config_entry *entry, char *field)
{
	long long unused;

	switch (s->type) {
	case SETTING_STRING:
		return set_string(s, entry, (char **)(void *)field);
	case SETTING_INTEGER:
		return set_integer(s, entry, (long long *)(void *)field);
	case SETTING_BOOLEAN:
		return set_boolean(entry, (bool *)field);
	case SETTING_MINUTES:
		return set_minutes(s, entry, (long long *)(void *)field);
	case SETTING_LIST:
		return set_list(s, entry, (char **)(void *)field);
	case SETTING_FOREIGN:
		return !is_integer(s) || set_integer(s, entry, &unused);
	case SETTING_ALIAS:
	case SETTING_SECTION:
	case SETTING_SHIPPED:
		break;
	}
	return false;
}

static size_t find(const struct loading *l, const char *table, const char *key)
{
	for (size_t i = 0; i < l->n_settings; i++) {
		const struct setting *s = &l->settings[i];

		if (s->key && strcmp(s->table, table) == 0 && same_key(s->key, key))
			return s->type == SETTING_ALIAS ? find(l, table, s->help) : i;
	}
	return l->n_settings;
}

static int on_entry(const struct config_entry *entry, void *userdata, struct error *err)
{
	struct loading *l = userdata;
	const char *dot = entry->table[0] ? "." : "";
	size_t i = find(l, entry->table, entry->key);
	const struct setting *s = &l->settings[i];
	char expected[160];

	if (i == l->n_settings) {
		log_warning("%s: line %u: unknown setting %s%s%s ignored", l->path, entry->line,
			    entry->table, dot, entry->key);
		return 0;
	}
	if (l->line_of[i])
		log_warning("%s: line %u: %s%s%s was given in line %u already; this one counts",
			    l->path, entry->line, s->table, dot, s->key, l->line_of[i]);
	l->line_of[i] = entry->line;
	/* Properties files are full of keys that are left empty to mean "not set". */
	if (entry->type == CONFIG_TEXT && entry->value[0] == '\0')
		return 0;
	if (set_value(s, entry, l->config + s->offset)) {
		if (s->type == SETTING_FOREIGN)
			log_info("%s: line %u: %s has no effect: %s", l->path, entry->line, s->key,
				 s->help);
		return 0;
	}
	setting_describe(s, expected, sizeof(expected));
	return error_set(err, ERR_CONFIG, "line %u: %s%s%s: expected %s, got '%.80s'", entry->line,
			 s->table, dot, s->key, expected, entry->value);
}

static char *list_of(const char *text)
{
	char *list = calloc(1, strlen(text) + 2);

	for (size_t i = 0; list && text[i]; i++)
		list[i] = text[i] == '|' ? '\0' : text[i];
	return list;
}

static int set_default(const struct setting *s, char *config, struct error *err)
{
	char *field = config + s->offset;

	if (s->type == SETTING_INTEGER) {
		*(long long *)(void *)field = s->default_number;
	} else if (s->type == SETTING_MINUTES) {
		*(long long *)(void *)field = s->default_number * 60;
	} else if (s->type == SETTING_BOOLEAN) {
		*(bool *)field = s->default_number != 0;
	} else if (s->type == SETTING_STRING) {
		*(char **)(void *)field = s->default_text ? strdup(s->default_text) : NULL;
		if (s->default_text && !*(char **)(void *)field)
			return error_oom(err);
	} else if (s->type == SETTING_LIST) {
		*(char **)(void *)field = list_of(s->default_text ? s->default_text : "");
		if (!*(char **)(void *)field)
			return error_oom(err);
	}
	return 0;
}

int settings_load(const struct setting *settings, size_t n_settings, void *config, const char *path,
		  enum config_grammar grammar, struct error *err)
{
	struct loading l = {
		.settings = settings, .n_settings = n_settings, .config = config, .path = path};

	if (n_settings > N_SETTINGS_MAX)
		return error_set(err, ERR_SYSTEM, "too many settings in the program's own table");
	for (size_t i = 0; i < n_settings; i++) {
		if (set_default(&settings[i], config, err) < 0)
			return -1;
	}
	return path ? config_parse_file(path, grammar, on_entry, &l, err) : 0;
}

void settings_done(const struct setting *settings, size_t n_settings, void *config)
{
	for (size_t i = 0; i < n_settings; i++) {
		char **field = (char **)(void *)((char *)config + settings[i].offset);

		if (settings[i].type == SETTING_STRING || settings[i].type == SETTING_LIST) {
			free(*field);
			*field = NULL;
		}
	}
}
