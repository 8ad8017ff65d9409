/**
 * Configuration files: one line reader with two value grammars.
 *
 * CONFIG_TOML is the part of TOML that configuration of this kind uses: tables ("[agent]"), bare
 * and dotted keys ("agent.broker_port" outside a table), basic and literal strings on one line,
 * integers, floats, booleans, arrays of strings on one line, comments. Other TOML (dates, inline
 * tables, multi-line strings) is an error with its line number, not something else.
 * CONFIG_PROPERTIES is the Java properties format: "key = value", "key: value" or "key value", '#'
 * and '!' comments, '\' continuation, \t \n \r \f \uXXXX escapes. Every value is text.
 *
 * Source of the grammars: toml.io v1.0.0; java.util.Properties.load().
 */
#ifndef COMMON_CONFIG_FILE_H
#define COMMON_CONFIG_FILE_H

#include <stddef.h>

#include "common/error.h"

enum config_grammar { CONFIG_TOML, CONFIG_PROPERTIES };

enum config_type {
	CONFIG_TEXT, /* properties: its reader decides what it is */
	CONFIG_STRING,
	CONFIG_INTEGER,
	CONFIG_FLOAT,
	CONFIG_BOOLEAN,
	CONFIG_LIST /* of strings; each ends in a NUL, all in `value` */
};

/** One key with its value. Everything is borrowed and valid only during the call. */
struct config_entry {
	const char *table; /* "" outside tables */
	const char *key;
	enum config_type type;
	const char *value; /* strings without quotes, other values as their text */
	size_t value_len;  /* in bytes; matters for CONFIG_LIST */
	unsigned line;     /* from 1 */
};

/** Called per entry, in file order; returning -1 with @err set stops the reading. */
typedef int (*config_entry_fn)(const struct config_entry *entry, void *userdata, struct error *err);

#define CONFIG_FILE_MAX_BYTES (1024 * 1024)

/** Read @len bytes of text. Errors: ERR_CONFIG "line N: what was wrong", or the callback's. */
int config_parse(const char *text, size_t len, enum config_grammar grammar, config_entry_fn fn,
		 void *userdata, struct error *err);

/** Read a file; errors begin with its path. */
int config_parse_file(const char *path, enum config_grammar grammar, config_entry_fn fn,
		      void *userdata, struct error *err);

#endif
