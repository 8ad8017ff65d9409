#include <string.h>

#include "common/scdoc.h"
#include "common/settings.h"

#define WIDTH 92 /* of a comment's text */

/* Words of @text in lines that begin with @head. */
static void print_wrapped(FILE *file, const char *head, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (column > 0 && column + 1 + len > WIDTH) {
			(void)fputc('\n', file);
			column = 0;
		}
		(void)fprintf(file, "%s%.*s", column > 0 ? " " : head, (int)len, text);
		column += len + (column > 0);
		text += len + (text[len] == ' ');
	}
	(void)fputc('\n', file);
}

/* As TOML has it, which alone has lists. */
static void format_list(const char *items, char *ret, size_t size)
{
	size_t used = (size_t)snprintf(ret, size, "[");

	for (const char *item = items; item && *item && used < size;) {
		size_t len = strcspn(item, "|");

		used += (size_t)snprintf(ret + used, size - used, "%s'%.*s'",
					 item > items ? ", " : "", (int)len, item);
		item += len + (item[len] == '|');
	}
	if (used < size)
		(void)snprintf(ret + used, size - used, "]");
}

/* @otherwise where there is no default. */
static void format_default(const struct setting *s, const char *otherwise, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s", otherwise ? otherwise : "");
	if (s->type == SETTING_BOOLEAN)
		(void)snprintf(ret, size, "%s", s->default_number ? "true" : "false");
	else if ((s->type == SETTING_INTEGER || s->type == SETTING_MINUTES) &&
		 s->default_number >= s->min)
		(void)snprintf(ret, size, "%lld", s->default_number);
	else if (s->type == SETTING_LIST)
		format_list(s->default_text, ret, size);
	else if (s->type == SETTING_STRING && s->default_text)
		(void)snprintf(ret, size, "%s", s->default_text);
}

/* @shipped: the remark that it is to be written out, or NULL. */
static void print_entry(const struct setting *s, enum config_grammar grammar,
			const struct setting *shipped, FILE *file)
{
	const char *quote = grammar == CONFIG_TOML && s->type == SETTING_STRING ? "'" : "";
	const char *mark = shipped ? "" : "# ";
	char wanted[160], value[256], text[1024];

	setting_describe(s, wanted, sizeof(wanted));
	format_default(s, shipped ? shipped->default_text : NULL, value, sizeof(value));
	if (s->type == SETTING_FOREIGN)
		(void)snprintf(text, sizeof(text), "no effect: %s", s->help);
	else
		(void)snprintf(text, sizeof(text), "%s (%s)", s->help, wanted);
	print_wrapped(file, "# ", text);
	(void)fprintf(file, "%s%s = %s%s%s\n\n", mark, s->key, quote, value, quote);
}

static void print_manual_entry(const struct setting *s, FILE *file)
{
	char wanted[160], value[256];

	setting_describe(s, wanted, sizeof(wanted));
	if (s->type == SETTING_ALIAS) {
		(void)fprintf(file, "*%s*\n\tAnother name of *%s*.\n\n", s->key, s->help);
		return;
	}
	format_default(s, NULL, value, sizeof(value));
	if (s->type == SETTING_FOREIGN) {
		(void)fprintf(file, "*%s* (accepted, without effect)\n", s->key);
	} else {
		(void)fprintf(file, "*%s* (", s->key);
		scdoc_print(file, wanted);
		(void)fputs(*value ? "; default: " : "", file);
		scdoc_print(file, value);
		(void)fputs(")\n", file);
	}
	(void)fputc('\t', file);
	scdoc_print_sentence(file, s->help);
	(void)fprintf(file, "\n\n");
}

static void print_title(const char *title, enum settings_form form, FILE *file)
{
	(void)fprintf(file, form == SETTINGS_FILE ? "# --- %s ---\n\n" : "## %s\n\n", title);
}

void settings_print(const struct setting *settings, size_t n_settings, enum config_grammar grammar,
		    enum settings_form form, FILE *file)
{
	const char *table = "";
	const struct setting *shipped = NULL;

	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];

		if (s->type == SETTING_SECTION)
			print_title(s->help, form, file);
		if (s->key && strcmp(s->table, table) != 0) {
			table = s->table;
			(void)fprintf(file, form == SETTINGS_FILE ? "[%s]\n\n" : "## [%s]\n\n",
				      table);
		}
		if (s->key && form == SETTINGS_MANUAL)
			print_manual_entry(s, file);
		else if (s->key && s->type != SETTING_ALIAS)
			print_entry(s, grammar, shipped, file);
		shipped = s->type == SETTING_SHIPPED ? s : NULL;
	}
}
