#include "common/exposition.h"

#include <stdio.h>
#include <string.h>

static void append(struct exposition *e, const char *text, size_t len)
{
	if (e->err.code == ERR_NONE)
		(void)buf_append(&e->text, text, len, &e->err);
}

static void append_text(struct exposition *e, const char *text)
{
	append(e, text, strlen(text));
}

static void append_escaped(struct exposition *e, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			append_text(e, "\\n");
		else if (*text == '"' || *text == '\\')
			append(e, (const char[]){'\\', *text}, 2);
		else
			append(e, text, 1);
	}
}

void exposition_family(struct exposition *e, const char *name, const char *type, const char *help)
{
	e->name = name;
	append_text(e, "# HELP ");
	append_text(e, name);
	append_text(e, " ");
	append_text(e, help);
	append_text(e, "\n# TYPE ");
	append_text(e, name);
	append_text(e, " ");
	append_text(e, type);
	append_text(e, "\n");
}

static void add(struct exposition *e, const char *suffix, const struct label *labels,
		const char *bound, double value)
{
	const char *before = "{";
	char number[40];

	append_text(e, e->name);
	append_text(e, suffix);
	for (; labels->name; labels++) {
		append_text(e, before);
		append_text(e, labels->name);
		append_text(e, "=\"");
		append_escaped(e, labels->value);
		append_text(e, "\"");
		before = ",";
	}
	if (bound) {
		append_text(e, before);
		append_text(e, "le=\"");
		append_text(e, bound);
		append_text(e, "\"");
		before = ",";
	}
	(void)snprintf(number, sizeof(number), "%s %.15g\n", *before == ',' ? "}" : "", value);
	append_text(e, number);
}

void exposition_add(struct exposition *e, const struct label *labels, double value)
{
	add(e, "", labels, NULL, value);
}

void exposition_add_histogram(struct exposition *e, const struct label *labels,
			      const struct histogram *histogram)
{
	unsigned long long n = 0;
	char bound[32];

	for (size_t i = 0; i < histogram->bounds->n; i++) {
		n += histogram->counts[i];
		(void)snprintf(bound, sizeof(bound), "%g", histogram->bounds->seconds[i]);
		add(e, "_bucket", labels, bound, (double)n);
	}
	add(e, "_bucket", labels, "+Inf", (double)histogram->n);
	exposition_add_summary(e, labels, histogram);
}

void exposition_add_summary(struct exposition *e, const struct label *labels,
			    const struct histogram *histogram)
{
	add(e, "_sum", labels, NULL, histogram->sum);
	add(e, "_count", labels, NULL, (double)histogram->n);
}

void exposition_single(struct exposition *e, const char *name, const char *type, const char *help,
		       double value)
{
	exposition_family(e, name, type, help);
	exposition_add(e, NO_LABELS, value);
}
