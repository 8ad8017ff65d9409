#include "common/program-options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "common/ready.h"

enum { OF_TABLE = 256, READY_FD, SHOW_VERSION };

void program_option_print(const char *name, const char *value, const char *meaning,
			  const char *fallback)
{
	char shown[64];

	(void)snprintf(shown, sizeof(shown), "--%s%s%s", name, value ? " " : "",
		       value ? value : "");
	printf("  %-28s %s%s%s%s\n", shown, meaning, fallback ? " (default: " : "",
	       fallback ? fallback : "", fallback ? ")" : "");
}

static void print_help(const struct program_options *options)
{
	(void)puts(options->use);
	for (const struct program_option *o = options->table; o->name; o++) {
		if (o->meaning)
			program_option_print(o->name, o->value, o->meaning, o->fallback);
	}
	if (options->ready_fd)
		program_option_print("ready-fd", "N", "write \"ready\" to descriptor N when up",
				     NULL);
	(void)puts("  -h, --help\n  --version");
	if (options->more)
		options->more();
}

/* With the defaults set. */
static void list_known(const struct program_options *options, struct option *ret)
{
	for (const struct program_option *o = options->table; o->name; o++) {
		assert(o - options->table < PROGRAM_OPTIONS_MAX);
		if (o->text)
			*o->text = o->fallback;
		*ret++ = (struct option){o->name, o->value ? required_argument : no_argument, NULL,
					 OF_TABLE};
	}
	if (options->ready_fd) {
		*options->ready_fd = -1;
		*ret++ = (struct option){"ready-fd", required_argument, NULL, READY_FD};
	}
	*ret++ = (struct option){"help", no_argument, NULL, 'h'};
	*ret++ = (struct option){"version", no_argument, NULL, SHOW_VERSION};
	*ret = (struct option){0};
}

static int refuse(const struct error *err)
{
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, err->message);
	return error_exit_status(err->code);
}

/* @place: in the table, for OF_TABLE. As program_options_read(). */
static int take(const struct program_options *options, int option, int place)
{
	const struct program_option *o;
	struct error err;

	switch (option) {
	case OF_TABLE:
		o = &options->table[place];
		if (o->text) {
			*o->text = optarg;
			return -1;
		}
		if (o->print(optarg, &err) < 0)
			return refuse(&err);
		break;
	case READY_FD:
		return ready_parse(optarg, options->ready_fd, &err) < 0 ? refuse(&err) : -1;
	case 'h':
		print_help(options);
		break;
	case SHOW_VERSION:
		printf("%s " VERSION "\n", program_invocation_short_name);
		break;
	default: /* getopt has said what is wrong */
		return error_exit_status(ERR_USAGE);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

int program_options_read(const struct program_options *options, int argc, char **argv)
{
	struct option known[PROGRAM_OPTIONS_MAX + 4];
	int option, place = 0, status = -1, n_missing;
	struct error err;

	list_known(options, known);
	argv[0] = program_invocation_short_name; /* what getopt's sentences begin with */
	optind = 0;                              /* from the beginning, whatever was read before */
	while (status < 0 && (option = getopt_long(argc, argv, "h", known, &place)) != -1)
		status = take(options, option, place);
	n_missing = options->n_arguments - (argc - optind);
	if (status >= 0 || n_missing == 0)
		return status;
	if (n_missing > 0)
		(void)error_set(&err, ERR_USAGE, "arguments are missing; see --help");
	else
		(void)error_set(&err, ERR_USAGE, "unexpected argument '%s'",
				argv[argc + n_missing]);
	return refuse(&err);
}
