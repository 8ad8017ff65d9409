/**
 * The fields of a request body, read by a table that also makes the texts of the errors.
 *
 * Types are strict: "5" is not 5. A null means "not given", and so do empty lists. A field that the
 * table does not have is refused by name. An alias is read as the canonical field; where both are
 * given, the canonical one wins. Source: the API's rules for reading requests.
 */
#ifndef COMMON_PARAMS_H
#define COMMON_PARAMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum param_type {
	PARAM_STRING,  /* const char *: borrowed from the JSON; NULL when not given */
	PARAM_CHOICE,  /* const char *: the spelling of the table; any letter case is read */
	PARAM_BOOLEAN, /* bool: false when not given */
	PARAM_INTEGER, /* long long: 0 when not given, so min must be above 0 */
	PARAM_STRINGS, /* json_t *: array of non-empty strings, borrowed; NULL when not given */
	PARAM_TEXTS,   /* json_t *: as PARAM_STRINGS, and a string may be empty */
	PARAM_OBJECTS  /* json_t *: array of objects of table `sub`, borrowed */
};

struct param_table;

struct param {
	const char *name;
	const char *alias; /* NULL: none */
	enum param_type type;
	bool required;
	long long min,
		max; /* PARAM_INTEGER: the value; PARAM_STRING: characters, max 0 = no limit */
	const char *const *choices; /* PARAM_CHOICE: ends in NULL */
	/* PARAM_STRING: texts, ends in NULL; one with '*' at its end stands for all longer ones that
	 * begin so. NULL: any text */
	const char *const *forms;
	bool may_be_empty; /* PARAM_STRING: it is required, but "" will do */
	const struct param_table *sub;
	/* For params_check_scope(): a field that is given needs the other one, ... */
	const char *needs;
	const char *only_for; /* ... and means something for this choice of the scope only */
	size_t offset;        /* of the field in the struct that is filled, ... */
	size_t given;         /* ... and of a bool that tells whether it was; 0: nobody asks */
};

struct param_table {
	const struct param *params;
	size_t n_params;
	size_t size; /* of the struct */
};

/**
 * Check @object against @table and fill @ret, a struct of table->size bytes, which borrows from
 * @object. Errors: ERR_INVALID with a sentence that names the field.
 */
int params_read(const struct param_table *table, const json_t *object, void *ret,
		struct error *err);

/**
 * The same out of the text of an object, without building it, if it is as plain as nearly all are:
 * strings of ASCII characters that stand for themselves, truth values and positive numbers, no field
 * twice, and nothing wrong. Returns how long the object is; 0: it is not so plain, and json_parse() and
 * params_read() have to say what there is to say of it.
 *
 * @text: ends in a NUL. It is cut into strings, which @ret borrows.
 */
size_t params_scan(const struct param_table *table, char *text, void *ret);

/**
 * Do the fields of @request, filled by params_read(), go together? @scope: what the request is for,
 * as in the column only_for. Something that is false counts as not given. Apart from params_read()
 * because the API tells this for an element and not for the whole call.
 *
 * Errors: ERR_UNSUPPORTED the field is for another scope, ERR_INVALID what it needs is not there.
 */
int params_check_scope(const struct param_table *table, const void *request, const char *scope,
		       struct error *err);

/** Characters, not bytes, of a UTF-8 text. */
size_t params_count_characters(const char *text);

/** The fields that were sent and are in the table, under canonical names. NULL without memory. */
json_t *params_echo(const struct param_table *table, const json_t *object);

#endif
