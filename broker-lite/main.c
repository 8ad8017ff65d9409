/* dcv-session-manager-broker: the service, and with a command the administrator's tool. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "broker-lite/broker.h"
#include "broker-lite/command-client.h"
#include "common/file.h"
#include "common/log.h"
#include "common/program-options.h"

#define DESCRIPTORS_MAX 65536

struct options {
	const char *config_path; /* NULL: the usual one, if there is one */
	int ready_fd;
};

/* --print-settings, and for a part of the manual pages --print-manual. */
static int print_settings(const char *part, struct error *err)
{
	if (part && strcmp(part, "commands") == 0)
		command_client_manual();
	else if (part && strcmp(part, "settings") != 0)
		return error_set(err, ERR_USAGE, "--print-manual: there is no part '%s'", part);
	else
		broker_config_print(part ? SETTINGS_MANUAL : SETTINGS_FILE, stdout);
	return 0;
}

static int read_options(int argc, char **argv, struct options *o)
{
	const struct program_option table[] = {
		{"conf", "FILE", "settings (default: " BROKER_CONFIG_PATH ")",
		 .text = &o->config_path},
		{"print-settings", NULL,
		 "print a settings file with every default and what it means",
		 .print = print_settings},
		{"print-manual", "PART", .print = print_settings},
		{0},
	};
	const struct program_options options = {
		.use = "Usage: dcv-session-manager-broker [OPTION...]\n"
		       "       dcv-session-manager-broker COMMAND [OPTION...]\n"
		       "Without a command: run the broker in the foreground.\n",
		.table = table,
		.ready_fd = &o->ready_fd,
		.more = command_client_list,
	};

	return program_options_read(&options, argc, argv);
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
	struct options options;
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
