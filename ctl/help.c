#include "ctl/help.h"

#include "ctl/config.h"

static const char *name_of(enum program program)
{
	return program == PROGRAM_DCVSM ? "dcvsm" : "dcvctl";
}

/* In brackets after the explanation: must it be given, and if not, what holds then? */
static int print_default(const struct option_table *table, const struct option_spec *spec,
			 enum program program, struct buf *out, struct error *err)
{
	if (program == PROGRAM_DCVCTL && spec->fallback)
		return buf_printf(out, err, " (default: %s)\n", spec->fallback);
	if (program == PROGRAM_DCVCTL && spec->is_user_by_default)
		return buf_append_text(out, " (default with the local agent: you)\n", err);
	return buf_append_text(out, option_is_required(table, spec) ? " (required)\n" : "\n", err);
}

static int print_options(const struct option_table *table, enum program program, struct buf *out,
			 struct error *err)
{
	for (size_t i = 0; i < table->n_specs; i++) {
		const struct option_spec *spec = &table->specs[i];
		size_t start = out->len, used;

		if (!option_is_for(spec, program))
			continue;
		if (buf_printf(out, err, "  --%s%s%s", spec->name, spec->value ? " " : "",
			       spec->value ? spec->value : "") < 0)
			return -1;
		used = out->len - start;
		if (buf_printf(out, err, "%s%*s%s", used > 32 ? "\n" : "",
			       (int)(used > 32 ? 34 : 34 - used), "", spec->help) < 0 ||
		    print_default(table, spec, program, out, err) < 0)
			return -1;
	}
	return buf_printf(out, err, "  %-32s%s\n", "-h, --help", "show this help");
}

static int print_commands(enum program program, struct buf *out, struct error *err)
{
	char name[COMMAND_NAME_SIZE];

	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (!command_is_for(&commands[i], program))
			continue;
		command_name(&commands[i], name);
		if (buf_printf(out, err, "  %-32s%s\n", name, commands[i].help) < 0)
			return -1;
	}
	return 0;
}

int help_program(enum program program, struct buf *out, struct error *err)
{
	const char *what =
		program == PROGRAM_DCVSM
			? "Drive a broker of remote desktop sessions."
			: "Drive the remote desktop sessions of this host, or of a fleet "
			  "through its broker.";

	if (buf_printf(out, err, "Usage: %s [OPTIONS] COMMAND [ARGS]\n%s\n\nCommands:\n",
		       name_of(program), what) < 0 ||
	    print_commands(program, out, err) < 0 ||
	    buf_append_text(out, "\nOptions:\n", err) < 0 ||
	    print_options(&general_options, program, out, err) < 0)
		return -1;
	return buf_printf(out, err,
			  "\nCredentials for a broker come from DCV_SM_CLIENT_ID and "
			  "DCV_SM_CLIENT_PASSWORD, or\nDCV_SM_OAUTH2_TOKEN, or the configuration "
			  "file. '%s COMMAND --help' tells more.\n",
			  name_of(program));
}

/* Positional values as they may be given without their names. */
static int print_positional(const struct option_table *table, struct buf *out, struct error *err)
{
	for (size_t i = 0; i < table->n_specs; i++) {
		if (table->specs[i].is_positional &&
		    buf_printf(out, err, " [%s]", table->specs[i].value) < 0)
			return -1;
	}
	return 0;
}

int help_command(const struct command *command, enum program program, struct buf *out,
		 struct error *err)
{
	char name[COMMAND_NAME_SIZE];

	command_name(command, name);
	if (buf_printf(out, err, "Usage: %s [OPTIONS] %s", name_of(program), name) < 0 ||
	    (program == PROGRAM_DCVCTL && print_positional(&command->options, out, err) < 0) ||
	    buf_printf(out, err, " [ARGS]\n%s.\n\nOptions:\n", command->help) < 0)
		return -1;
	return print_options(&command->options, program, out, err);
}
