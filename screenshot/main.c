/*
 * dcv-screenshot: what a display shows, as a file. The library does the work; here are the command
 * line and the one sentence on standard error.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "screenshot/output.h"
#include "screenshot/screenshot.h"
#include "screenshot/serve.h"

#define PROGRAM "dcv-screenshot"

static const char usage[] =
	"Usage: " PROGRAM " [OPTION ...] -o FILE\n"
	"Write what an X display shows to a file.\n"
	"\n"
	"  -o, --output FILE    the file to write, '-' for standard output\n"
	"  --display NAME       the display, such as ':1' (default: $DISPLAY)\n"
	"  --format png|jpeg    the format (default: by the suffix of FILE, otherwise png)\n"
	"  --max-width PIXELS   scale down to this width at most, keeping the proportions\n"
	"  --max-height PIXELS  scale down to this height at most\n"
	"  --all                every monitor in a file of its own: FILE with -1, -2, ... before\n"
	"                       the suffix, the primary monitor first (default: the primary "
	"alone)\n"
	"  --serve FD           serve requests on a connected socket (see the manual)\n"
	"  --help               show this\n"
	"  --version            show the version\n";

struct options {
	const char *display, *output;
	struct screenshot_options shot;
	bool has_format;
	bool is_all;
	int serve_fd; /* -1 when not given */
	int idle_timeout_ms;
	bool is_done; /* --help or --version was all that was asked */
};

enum option_id {
	OPTION_ALL = 256,
	OPTION_DISPLAY,
	OPTION_FORMAT,
	OPTION_HELP,
	OPTION_IDLE_TIMEOUT_MS,
	OPTION_MAX_HEIGHT,
	OPTION_MAX_WIDTH,
	OPTION_SERVE,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{"all", no_argument, NULL, OPTION_ALL},
	{"display", required_argument, NULL, OPTION_DISPLAY},
	{"format", required_argument, NULL, OPTION_FORMAT},
	{"help", no_argument, NULL, OPTION_HELP},
	{"idle-timeout-ms", required_argument, NULL, OPTION_IDLE_TIMEOUT_MS}, /* for tests */
	{"max-height", required_argument, NULL, OPTION_MAX_HEIGHT},
	{"max-width", required_argument, NULL, OPTION_MAX_WIDTH},
	{"output", required_argument, NULL, 'o'},
	{"serve", required_argument, NULL, OPTION_SERVE},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

static int number_parse(const char *text, int *ret, struct error *err)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > INT_MAX)
		return error_set(err, ERR_USAGE, "'%s' is not a number", text);
	*ret = (int)value;
	return 0;
}

static int option_apply(struct options *options, int id, const char *value, struct error *err)
{
	switch (id) {
	case 'o':
		options->output = value;
		return 0;
	case OPTION_ALL:
		options->is_all = true;
		return 0;
	case OPTION_DISPLAY:
		options->display = value;
		return 0;
	case OPTION_FORMAT:
		options->has_format = true;
		return screenshot_format_parse(value, &options->shot.format, err);
	case OPTION_IDLE_TIMEOUT_MS:
		return number_parse(value, &options->idle_timeout_ms, err);
	case OPTION_MAX_HEIGHT:
		return screenshot_bound_parse(value, &options->shot.max_height, err);
	case OPTION_MAX_WIDTH:
		return screenshot_bound_parse(value, &options->shot.max_width, err);
	case OPTION_SERVE:
		return number_parse(value, &options->serve_fd, err);
	case OPTION_HELP:
		options->is_done = true;
		(void)fputs(usage, stdout);
		return 0;
	case OPTION_VERSION:
		options->is_done = true;
		(void)puts(PROGRAM " " VERSION);
		return 0;
	default:
		return error_set(err, ERR_USAGE, "see '" PROGRAM " --help'");
	}
}

static enum screenshot_format format_by_suffix(const char *path)
{
	const char *suffix = output_suffix(path);

	return strcasecmp(suffix, ".jpg") == 0 || strcasecmp(suffix, ".jpeg") == 0 ? SCREENSHOT_JPEG
										   : SCREENSHOT_PNG;
}

/* What only makes sense, or none, together. */
static int options_check(struct options *options, struct error *err)
{
	if (!options->display)
		options->display = getenv("DISPLAY");
	if (!options->display || !*options->display)
		return error_set(err, ERR_USAGE,
				 "no display is named: give --display or set DISPLAY");
	if (options->serve_fd >= 0) {
		if (options->output || options->is_all)
			return error_set(err, ERR_USAGE, "--serve writes no file");
		return 0;
	}
	if (!options->output || !*options->output)
		return error_set(err, ERR_USAGE, "no file is named: give -o FILE");
	if (options->is_all && strcmp(options->output, "-") == 0)
		return error_set(err, ERR_USAGE, "--all writes several files, so '-o -' cannot be");
	if (!options->has_format)
		options->shot.format = format_by_suffix(options->output);
	return 0;
}

static int options_read(struct options *options, int argc, char **argv, struct error *err)
{
	int id;

	opterr = 0; /* one sentence, and ours */
	while ((id = getopt_long(argc, argv, ":o:", long_options, NULL)) != -1) {
		const char *given = argv[optind - 1];

		if (id == ':')
			return error_set(err, ERR_USAGE, "%s needs a value", given);
		if (id == '?')
			return error_set(err, ERR_USAGE, "there is no option %s", given);
		if (option_apply(options, id, optarg, err) < 0) {
			err->code = ERR_USAGE;
			return -1;
		}
		if (options->is_done)
			return 0;
	}
	if (optind < argc)
		return error_set(err, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	return options_check(options, err);
}

static int write_shot(const struct options *options, const struct screenshot *shot,
		      const char *path, struct error *err)
{
	AUTO(buf_done) struct buf file = {0};

	if (screenshot_encode(shot, options->shot.format, &file, err) < 0)
		return -1;
	if (strcmp(path, "-") != 0)
		return output_write_file(path, file.data, file.len, err);
	if (output_write(STDOUT_FILENO, file.data, file.len, err) < 0)
		return error_prefix(err, "standard output");
	return 0;
}

static int take_files(const struct options *options, struct error *err)
{
	AUTO(screenshot_list_done) struct screenshot_list list = {.n_shots = 0};
	AUTO(capture_freep) struct capture *capture = NULL;

	if (capture_new(&capture, options->display, err) < 0 || capture_refresh(capture, err) < 0 ||
	    screenshot_take(capture, &options->shot, !options->is_all, &list, err) < 0)
		return -1;
	if (!options->is_all)
		return write_shot(options, &list.shots[0], options->output, err);
	for (size_t i = 0; i < list.n_shots; i++) {
		AUTO(free_p) char *path = NULL;

		if (output_numbered_path(options->output, i + 1, &path, err) < 0 ||
		    write_shot(options, &list.shots[i], path, err) < 0)
			return -1;
	}
	return 0;
}

static int run(int argc, char **argv, struct error *err)
{
	struct options options = {.serve_fd = -1, .idle_timeout_ms = SERVE_IDLE_TIMEOUT_MS};

	if (options_read(&options, argc, argv, err) < 0)
		return -1;
	if (options.is_done) {
		if (fflush(stdout) != 0)
			return error_errno(err, "standard output");
		return 0;
	}
	if (options.serve_fd >= 0)
		return serve_run(options.serve_fd, options.display, options.idle_timeout_ms, err);
	return take_files(&options, err);
}

int main(int argc, char **argv)
{
	struct error err = {0};

	if (run(argc, argv, &err) == 0)
		return 0;
	(void)fprintf(stderr, PROGRAM ": %s\n", err.message);
	return error_exit_status(err.code);
}
