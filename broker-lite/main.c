/* dcv-session-manager-broker: the service, and with a command the administrator's tool. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "broker-lite/broker.h"
#include "broker-lite/command-client.h"
#include "common/file.h"
#include "common/log.h"
#include "common/number.h"

#define DESCRIPTORS_MAX 65536

static void print_help(void)
{
	printf("usage: dcv-session-manager-broker [--conf FILE] [--ready-fd N]\n"
	       "       dcv-session-manager-broker COMMAND [OPTIONS]\n\n"
	       "Without a command: run the broker in the foreground.\n\n"
	       "  --conf FILE    settings (default: %s)\n"
	       "  --ready-fd N   write \"ready\" to this descriptor when requests are answered\n"
	       "  --print-settings file|manual\n"
	       "                 every setting with its meaning and default, as a settings file or "
	       "as\n"
	       "                 a part of the manual\n"
	       "  --version, --help\n\n"
	       "Commands, for the administrator of the running broker (COMMAND --help for "
	       "more):\n\n",
	       BROKER_CONFIG_PATH);
	command_client_list();
}

struct options {
	const char *config_path;
	int ready_fd;
};

/* What the manual pages are made with. */
static int print_manual(const char *part)
{
	if (strcmp(part, "settings") == 0)
		broker_config_print(SETTINGS_MANUAL, stdout);
	else if (strcmp(part, "commands") == 0)
		command_client_manual();
	else
		return COMMAND_USAGE;
	return fflush(stdout) == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* Exit status, or -1 to go on. */
static int read_options(int argc, char **argv, struct options *ret)
{
	static const struct option known[] = {
		{"conf", required_argument, NULL, 'c'},
		{"ready-fd", required_argument, NULL, 'r'},
		{"print-settings", no_argument, NULL, 's'},
		{"print-manual", required_argument, NULL, 'm'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	long long fd;
	int option;

	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (option) {
		case 'c':
			ret->config_path = optarg;
			break;
		case 'r':
			if (!number_parse(optarg, 0, 1023, &fd)) {
				fprintf(stderr, "--ready-fd: '%s' is no descriptor\n", optarg);
				return COMMAND_USAGE;
			}
			ret->ready_fd = (int)fd;
			break;
		case 's':
			broker_config_print(SETTINGS_FILE, stdout);
			return COMMAND_DONE;
		case 'm':
			return print_manual(optarg);
		case 'v':
			printf("dcv-session-manager-broker %s\n", VERSION);
			return COMMAND_DONE;
		case 'h':
			print_help();
			return COMMAND_DONE;
		default:
			return COMMAND_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "what is '%s'? see --help\n", argv[optind]);
	return COMMAND_USAGE;
}

/* A connection needs a descriptor, and the usual limit of 1024 is for programs that use select(). The
 * bound is what libwebsockets can make room for at little cost. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS_MAX)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void start_log(const struct broker_config *config)
{
	const struct log_rotation rotation = broker_config_log_rotation(config);
	enum log_level level;
	struct error err = {0};

	if (log_level_from_name(config->log_level, &level))
		log_set_level(level);
	if (file_make_folder(config->log_directory, 0750, &err) < 0 ||
	    log_open_file(config->log_directory, "broker.log", &rotation, &err) < 0)
		log_warning("no log file: %s", err.message);
}

int main(int argc, char **argv)
{
	struct options options = {.ready_fd = -1};
	struct broker_config config = {0};
	struct error err = {0};
	int status;

	if (argc > 1 && argv[1][0] != '-')
		return command_client_run(argc, argv);
	status = read_options(argc, argv, &options);
	if (status >= 0)
		return status;
	(void)umask(0027);
	(void)signal(SIGXFSZ,
		     SIG_IGN); /* a file that may not grow is a failed write, not our end */
	log_hold();
	if (broker_config_load(&config, options.config_path, &err) < 0) {
		broker_config_done(&config);
		log_error("%s", err.message);
		log_close();
		return COMMAND_FAILED;
	}
	start_log(&config);
	raise_descriptor_limit();
	if (broker_run(&config, options.ready_fd, &err) < 0)
		log_error("%s", err.message);
	log_close();
	return err.code == ERR_NONE ? COMMAND_DONE : COMMAND_FAILED;
}
