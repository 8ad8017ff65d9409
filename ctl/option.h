/**
 * Options of the command line, read by tables.
 *
 * One table says what there is: the parser, the help and the request's body are made from it. What
 * an option means to the API (its type, its range, whether it must be given) is taken from the
 * operation's own table of fields.
 */
#ifndef CTL_OPTION_H
#define CTL_OPTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/params.h"

/** The name that the program was called by. dcvsm behaves as the original of that name. */
enum program { PROGRAM_ANY, PROGRAM_DCVCTL, PROGRAM_DCVSM };

enum option_kind {
	OPTION_BY_FIELD, /* as the API's table says of `field` */
	OPTION_TEXT,
	OPTION_FLAG,
	OPTION_LOOSE_FLAG, /* a following word "true" or "false" is its value */
	OPTION_INTEGER,
	OPTION_CHOICE,
	OPTION_URL,
	OPTION_BASE_URL,    /* paths are appended to it: no query */
	OPTION_LIST,        /* "a,b" */
	OPTION_EACH,        /* a list that makes one element of the request per item */
	OPTION_FILTER,      /* KEY=VALUE */
	OPTION_OWNER,       /* the value of a filter by owner */
	OPTION_FILE,        /* a file, whose contents are sent as base64 */
	OPTION_FILE_OR_TEXT /* the same; if there is no such file, the value is base64 itself */
};

struct option_spec {
	const char *name;
	const char *aliases; /* other spellings, separated by blanks, or NULL */
	const char *field;   /* of the API; NULL: the program's own */
	enum option_kind kind;
	enum program program;       /* the only one that has it */
	bool is_required;           /* whatever the API's table says */
	bool is_positional;         /* dcvctl: may be given without its name */
	bool is_user_by_default;    /* dcvctl, local agent: defaults to the caller's name */
	const char *fallback;       /* dcvctl: the value when it is not given */
	long long min, max;         /* integers; 0: what the API's table says */
	const char *const *choices; /* end in NULL */
	const char *value;          /* what stands for the value in the help */
	const char *help;
};

struct option_table {
	const struct option_spec *specs;
	size_t n_specs;
	const struct param_table *params; /* of the operation, or NULL */
};

#define OPTIONS_MAX 20

/** What was given. Start with {0}, end with arguments_done(). */
struct arguments {
	const struct option_table *table;
	json_t *values[OPTIONS_MAX]; /* by place in the table; NULL: not given */
	int n_read;                  /* how many words of the command line */
	bool wants_help;
};

/**
 * Read options. With @stop_at_word the first word that is no option ends them, otherwise such words
 * are positional values. ERR_USAGE: not understood; ERR_INVALID: a wrong value.
 */
int arguments_read(struct arguments *args, const struct option_table *table, enum program program,
		   bool stop_at_word, int argc, char *const *argv, struct error *err);
void arguments_done(struct arguments *args);

/** Fill in what dcvctl lets people leave out, then refuse what is still missing. */
int arguments_complete(struct arguments *args, enum program program, bool is_local,
		       struct error *err);

/** What was not given takes its value from a general option of the same name. */
void arguments_inherit(struct arguments *args, const struct arguments *general);

/** Values by option name: NULL, false, @absent when not given. */
const char *arguments_text(const struct arguments *args, const char *name);
bool arguments_flag(const struct arguments *args, const char *name);
long long arguments_integer(const struct arguments *args, const char *name, long long absent);

/** What the API's table says of an option; NULL for the program's own. */
const struct param *option_param(const struct option_table *table, const struct option_spec *spec);
bool option_is_required(const struct option_table *table, const struct option_spec *spec);
enum option_kind option_kind(const struct option_table *table, const struct option_spec *spec);
bool option_is_for(const struct option_spec *spec, enum program program);

#endif
