#include "ctl/manual.h"

#include <string.h>

#include "common/scdoc.h"
#include "ctl/command.h"
#include "ctl/config.h"
#include "ctl/option.h"

/* --- the page ----------------------------------------------------------------------------------
 */

static void print_option(FILE *file, const struct option_table *table,
			 const struct option_spec *spec)
{
	(void)fprintf(file, "*--%s*%s", spec->name, spec->value ? " " : "");
	if (spec->value)
		scdoc_print(file, spec->value);
	(void)fputs("\n\t", file);
	scdoc_print_sentence(file, spec->help);
	if (spec->fallback)
		(void)fprintf(file, " Default: %s.", spec->fallback);
	else if (spec->is_user_by_default)
		(void)fputs(" Default with the local agent: you.", file);
	else if (option_is_required(table, spec))
		(void)fputs(" Required.", file);
	(void)fputs("\n\n", file);
}

static void print_options(FILE *file, const struct option_table *table)
{
	for (size_t i = 0; i < table->n_specs; i++) {
		if (option_is_for(&table->specs[i], PROGRAM_DCVCTL))
			print_option(file, table, &table->specs[i]);
	}
}

static void print_command(FILE *file, const struct command *command)
{
	char name[COMMAND_NAME_SIZE];

	command_name(command, name);
	(void)fprintf(file, "## %s\n\n", name);
	scdoc_print_sentence(file, command->help);
	(void)fputs("\n\n", file);
	print_options(file, &command->options);
}

/* --- the completion ----------------------------------------------------------------------------
 */

static void print_words(FILE *file, const struct option_table *table)
{
	for (size_t i = 0; i < table->n_specs; i++) {
		if (option_is_for(&table->specs[i], PROGRAM_DCVCTL))
			(void)fprintf(file, "--%s ", table->specs[i].name);
	}
	(void)fputs("--help' ;;\n", file);
}

static void print_arm(FILE *file, const struct command *command)
{
	char name[COMMAND_NAME_SIZE];

	command_name(command, name);
	(void)fprintf(file, "\t%s) echo '", name);
	print_words(file, &command->options);
}

static void print_name(FILE *file, const struct command *command)
{
	char name[COMMAND_NAME_SIZE];

	command_name(command, name);
	(void)fprintf(file, "%s ", name);
}

/* ----------------------------------------------------------------------------------------------- */

static void print_each(FILE *file, void (*print)(FILE *file, const struct command *command))
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (command_is_for(&commands[i], PROGRAM_DCVCTL))
			print(file, &commands[i]);
	}
}

bool manual_print(const char *part, FILE *file)
{
	if (strcmp(part, "options") == 0) {
		print_options(file, &general_options);
	} else if (strcmp(part, "commands") == 0) {
		print_each(file, print_command);
	} else if (strcmp(part, "completion") == 0) {
		(void)fputs("\t'') echo '", file);
		print_each(file, print_name);
		print_words(file, &general_options);
		print_each(file, print_arm);
	} else {
		return false;
	}
	return true;
}
