/**
 * Settings: from the entries of a configuration file to the fields of a struct, by a table.
 *
 * A program lists its settings once, in a .def file; the struct, this table, the defaults and the
 * manual are made from it. Keys are compared without regard to letter case, and '-' is '_'.
 */
#ifndef COMMON_SETTINGS_H
#define COMMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/config-file.h"
#include "common/error.h"

enum setting_type {
	SETTING_STRING,  /* char *, owned by the struct; NULL without default */
	SETTING_INTEGER, /* long long */
	SETTING_BOOLEAN, /* bool */
	SETTING_MINUTES, /* long long, in seconds; numbers of the table are minutes */
	SETTING_LIST,    /* char *, owned: strings that each end in NUL, an empty one ends all */
	SETTING_FOREIGN, /* of a product that we replace: checked, told and without effect */
	SETTING_ALIAS,   /* another name; help: the key of the same table that is meant */
	/* No settings, but remarks for settings_print(), without a key: */
	SETTING_SECTION, /* help: a title */
	SETTING_SHIPPED  /* what follows is written out, with default_text if it has no default */
};

/** What a string must look like; other texts are a choice list such as "png|jpeg". */
#define CHECK_ANY NULL
#define CHECK_TEXT "text" /* not empty */
#define CHECK_PATH "path" /* absolute */

struct setting {
	const char *table; /* "" where the format has no tables */
	const char *key;   /* NULL: a remark */
	enum setting_type type;
	size_t offset;            /* of the field */
	const char *default_text; /* of a list: strings with '|' between them */
	const char *check;
	long long default_number, min, max;
	const char *help;
};

/**
 * Fill @config: defaults first, then the file's entries. Unknown keys are logged as warnings, as
 * are repeated ones, of which the last counts. A wrong value is ERR_CONFIG, naming file, line, key
 * and what was expected. With @path NULL only the defaults are set.
 */
int settings_load(const struct setting *settings, size_t n_settings, void *config, const char *path,
		  enum config_grammar grammar, struct error *err);

/** SETTINGS_FILE: a file with every default and what it means; SETTINGS_MANUAL: a list for scdoc. */
enum settings_form { SETTINGS_FILE, SETTINGS_MANUAL };

/** Print what there is to set. */
void settings_print(const struct setting *settings, size_t n_settings, enum config_grammar grammar,
		    enum settings_form form, FILE *file);

/** What the value of a setting must be, as in "an integer from 1 to 65535". */
void setting_describe(const struct setting *setting, char *ret, size_t size);

/** Free the strings. Harmless on a zeroed struct. */
void settings_done(const struct setting *settings, size_t n_settings, void *config);

#endif
