#include "ctl/option.h"

#include <assert.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "ctl/config.h"
#include "ctl/value.h"

bool option_is_for(const struct option_spec *spec, enum program program)
{
	return spec->program == PROGRAM_ANY || spec->program == program;
}

const struct param *option_param(const struct option_table *table, const struct option_spec *spec)
{
	for (size_t i = 0; spec->field && i < table->params->n_params; i++) {
		if (strcmp(table->params->params[i].name, spec->field) == 0)
			return &table->params->params[i];
	}
	return NULL;
}

bool option_is_required(const struct option_table *table, const struct option_spec *spec)
{
	const struct param *param = option_param(table, spec);

	return spec->is_required || (param && param->required);
}

enum option_kind option_kind(const struct option_table *table, const struct option_spec *spec)
{
	const struct param *param = option_param(table, spec);

	if (spec->kind != OPTION_BY_FIELD)
		return spec->kind;
	assert(param);
	switch (param->type) {
	case PARAM_CHOICE:
		return OPTION_CHOICE;
	case PARAM_BOOLEAN:
		return OPTION_FLAG;
	case PARAM_INTEGER:
		return OPTION_INTEGER;
	case PARAM_STRINGS:
	case PARAM_TEXTS:
		return OPTION_LIST;
	case PARAM_STRING:
	case PARAM_OBJECTS:
		break;
	}
	return OPTION_TEXT;
}

void arguments_done(struct arguments *args)
{
	for (size_t i = 0; i < OPTIONS_MAX; i++)
		json_decref(args->values[i]);
	memset(args->values, 0, sizeof(args->values));
}

static bool is_alias(const char *aliases, const char *name, size_t len)
{
	for (const char *p = aliases; p && *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n == len && strncmp(p, name, len) == 0)
			return true;
		p += n;
	}
	return false;
}

static const struct option_spec *find(const struct option_table *table, enum program program,
				      const char *name, size_t len)
{
	for (size_t i = 0; i < table->n_specs; i++) {
		const struct option_spec *spec = &table->specs[i];

		if (option_is_for(spec, program) &&
		    ((strlen(spec->name) == len && strncmp(spec->name, name, len) == 0) ||
		     is_alias(spec->aliases, name, len)))
			return spec;
	}
	return NULL;
}

static int set(struct arguments *args, const struct option_spec *spec, const char *text,
	       struct error *err)
{
	const struct option_table *table = args->table;

	return value_read(spec, option_kind(table, spec), option_param(table, spec), text,
			  &args->values[spec - table->specs], err);
}

/* A flag's value is in the same word, or absent; @next is the word after it or NULL. */
static int read_flag(struct arguments *args, const struct option_spec *spec,
		     const char *inline_text, const char *next, struct error *err)
{
	if (inline_text)
		return set(args, spec, inline_text, err);
	if (next && option_kind(args->table, spec) == OPTION_LOOSE_FLAG &&
	    (strcmp(next, "true") == 0 || strcmp(next, "false") == 0)) {
		args->n_read++;
		return set(args, spec, next, err);
	}
	return set(args, spec, "true", err);
}

static int refuse_unknown(const struct option_table *table, enum program program, const char *word,
			  size_t len, struct error *err)
{
	bool is_general = table != &general_options && strncmp(word, "--", 2) == 0 &&
			  find(&general_options, program, word + 2, len - 2);

	return error_set(err, ERR_USAGE,
			 is_general ? "option '%.*s' stands before the command"
				    : "unknown option '%.*s'",
			 (int)len, word);
}

static int read_option(struct arguments *args, enum program program, const char *word,
		       const char *next, struct error *err)
{
	size_t len = strcspn(word, "=");
	const char *inline_text = word[len] ? word + len + 1 : NULL;
	const struct option_spec *spec = NULL;
	enum option_kind kind;

	if (strncmp(word, "--", 2) == 0)
		spec = find(args->table, program, word + 2, len - 2);
	if (!spec)
		return refuse_unknown(args->table, program, word, len, err);
	kind = option_kind(args->table, spec);
	if (kind == OPTION_FLAG || kind == OPTION_LOOSE_FLAG)
		return read_flag(args, spec, inline_text, next, err);
	if (!inline_text && !next)
		return error_set(err, ERR_USAGE, "--%s needs a value", spec->name);
	args->n_read += !inline_text;
	return set(args, spec, inline_text ? inline_text : next, err);
}

/* The first positional option that has no value yet, or a list, takes the word. */
static int read_word(struct arguments *args, enum program program, const char *word,
		     struct error *err)
{
	for (size_t i = 0; program == PROGRAM_DCVCTL && i < args->table->n_specs; i++) {
		const struct option_spec *spec = &args->table->specs[i];

		if (spec->is_positional && (!args->values[i] || json_is_array(args->values[i])))
			return set(args, spec, word, err);
	}
	return error_set(err, ERR_USAGE, "unexpected argument '%s'", word);
}

int arguments_read(struct arguments *args, const struct option_table *table, enum program program,
		   bool stop_at_word, int argc, char *const *argv, struct error *err)
{
	bool is_word_only = false;

	assert(table->n_specs <= OPTIONS_MAX);
	args->table = table;
	for (args->n_read = 0; args->n_read < argc;) {
		const char *word = argv[args->n_read++];
		const char *next = args->n_read < argc ? argv[args->n_read] : NULL;
		int failed;

		if (is_word_only || word[0] != '-' || word[1] == '\0') {
			if (stop_at_word) {
				args->n_read--;
				return 0;
			}
			failed = read_word(args, program, word, err);
		} else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
			args->wants_help = true;
			return 0;
		} else if (strcmp(word, "--") == 0) {
			is_word_only = true;
			failed = 0;
		} else {
			failed = read_option(args, program, word, next, err);
		}
		if (failed < 0)
			return -1;
	}
	return 0;
}

static const char *default_of(const struct option_spec *spec, bool is_local)
{
	const struct passwd *user;

	if (!spec->is_user_by_default || !is_local)
		return spec->fallback;
	user = getpwuid(getuid());
	return user ? user->pw_name : NULL;
}

int arguments_complete(struct arguments *args, enum program program, bool is_local,
		       struct error *err)
{
	for (size_t i = 0; i < args->table->n_specs; i++) {
		const struct option_spec *spec = &args->table->specs[i];
		const char *absent = NULL;

		if (args->values[i])
			continue;
		if (program == PROGRAM_DCVCTL)
			absent = default_of(spec, is_local);
		if (absent && set(args, spec, absent, err) < 0)
			return -1;
		if (!absent && option_is_required(args->table, spec))
			return error_set(err, ERR_USAGE, "--%s is required", spec->name);
	}
	return 0;
}

static json_t *value_of(const struct arguments *args, const char *name)
{
	for (size_t i = 0; i < args->table->n_specs; i++) {
		if (strcmp(args->table->specs[i].name, name) == 0)
			return args->values[i];
	}
	return NULL;
}

void arguments_inherit(struct arguments *args, const struct arguments *general)
{
	for (size_t i = 0; i < args->table->n_specs; i++) {
		if (!args->values[i])
			args->values[i] =
				json_incref(value_of(general, args->table->specs[i].name));
	}
}

const char *arguments_text(const struct arguments *args, const char *name)
{
	return json_string_value(value_of(args, name));
}

bool arguments_flag(const struct arguments *args, const char *name)
{
	return json_is_true(value_of(args, name));
}

long long arguments_integer(const struct arguments *args, const char *name, long long absent)
{
	const json_t *value = value_of(args, name);

	return value ? json_integer_value(value) : absent;
}
