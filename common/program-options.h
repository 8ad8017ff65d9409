/**
 * The command line of a program: one table, of which parsing, --help and the defaults are made.
 * Beside the table's options there are --help, -h and --version, and --ready-fd where the program
 * can be waited for.
 *
 *     const struct program_option table[] = {
 *             {"conf", "FILE", "settings", CONFIG_PATH, .text = &o->conf},
 *             {0},
 *     };
 *
 * Exit statuses: 0 for what is only printed (1 where it cannot be), 2 for a wrong command line,
 * with a sentence on the error stream that names what is wrong.
 */
#ifndef COMMON_PROGRAM_OPTIONS_H
#define COMMON_PROGRAM_OPTIONS_H

#include "common/error.h"

#define PROGRAM_OPTIONS_MAX 16

struct program_option {
	const char *name;
	const char *value;    /* what the help calls it; NULL: the option has none */
	const char *meaning;  /* NULL: the help does not tell of the option */
	const char *fallback; /* the value if none is given; NULL: none */
	const char **text;    /* gets the value, borrowed from the command line */
	/* Instead of @text: prints something, and the program ends. Gets the value, or NULL. */
	int (*print)(const char *value, struct error *err);
};

struct program_options {
	const char *use;                    /* what the help begins with: whole lines */
	const struct program_option *table; /* up to PROGRAM_OPTIONS_MAX, and an empty one */
	int *ready_fd; /* gets the descriptor of --ready-fd, -1 if not given; NULL: no such option */
	int n_arguments;    /* that must follow; they are then the last of argv */
	void (*more)(void); /* prints what the help ends with; NULL: nothing */
};

/** Read the command line: exit status, or -1 to go on. Moves the arguments behind the options. */
int program_options_read(const struct program_options *options, int argc, char **argv);

/** One line of a help text. @value and @fallback may be NULL. */
void program_option_print(const char *name, const char *value, const char *meaning,
			  const char *fallback);

#endif
