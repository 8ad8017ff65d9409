#include "agent/keeper/options.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/keeper/protocol.h"
#include "agent/paths.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/ready.h"

const char options_help[] =
	"Usage: dcv-session-keeper [OPTION]...\n"
	"Begin a remote desktop session for its owner, hold it, and end it with all that runs in "
	"it.\n"
	"\n"
	"Without --listen one connection is served: descriptor 3 from a systemd socket with\n"
	"Accept=yes, or standard input.\n"
	"\n"
	"  --listen PATH              accept connections at this Unix socket, one process for "
	"each\n"
	"  --run-dir DIR              sessions' folders (default " KEEPER_RUN_DIR ", or\n"
	"                             $XDG_RUNTIME_DIR/dcv-session-keeper for an ordinary user)\n"
	"  --log-dir DIR              logs of sessions (default " KEEPER_LOG_DIR ")\n"
	"  --conf FILE                settings (default " AGENT_CONFIG_PATH ")\n"
	"  --agent-user NAME          user whose connections are accepted, besides root and "
	"oneself\n"
	"                             (default dcvsmagent)\n"
	"  --agent-group NAME         group of sockets and logs (default: that user's)\n"
	"  --pam-dir DIR              folder of the PAM service file (default: the system's)\n"
	"  --xserver PROGRAM          X server (default Xvnc)\n"
	"  --screenshot-program PATH  capture program (default: dcv-screenshot beside this "
	"program)\n"
	"  --files-program PATH       program for viewers' file transfer (default: "
	"dcv-session-files\n"
	"                             beside this program)\n"
	"  --ready-fd N               write \"ready\" to descriptor N when listening\n"
	"  --help, --version\n";

enum {
	OPTION_LISTEN = 1,
	OPTION_RUN_DIR,
	OPTION_LOG_DIR,
	OPTION_CONF,
	OPTION_AGENT_USER,
	OPTION_AGENT_GROUP,
	OPTION_PAM_DIR,
	OPTION_XSERVER,
	OPTION_SCREENSHOT_PROGRAM,
	OPTION_FILES_PROGRAM,
	OPTION_READY_FD,
	OPTION_HELP,
	OPTION_VERSION
};

static const struct option long_options[] = {
	{"listen", required_argument, NULL, OPTION_LISTEN},
	{"run-dir", required_argument, NULL, OPTION_RUN_DIR},
	{"log-dir", required_argument, NULL, OPTION_LOG_DIR},
	{"conf", required_argument, NULL, OPTION_CONF},
	{"agent-user", required_argument, NULL, OPTION_AGENT_USER},
	{"agent-group", required_argument, NULL, OPTION_AGENT_GROUP},
	{"pam-dir", required_argument, NULL, OPTION_PAM_DIR},
	{"xserver", required_argument, NULL, OPTION_XSERVER},
	{"screenshot-program", required_argument, NULL, OPTION_SCREENSHOT_PROGRAM},
	{"files-program", required_argument, NULL, OPTION_FILES_PROGRAM},
	{"ready-fd", required_argument, NULL, OPTION_READY_FD},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

static const char **text_option(struct options *o, int option)
{
	switch (option) {
	case OPTION_LISTEN:
		return &o->listen_path;
	case OPTION_RUN_DIR:
		return &o->run_dir;
	case OPTION_LOG_DIR:
		return &o->log_dir;
	case OPTION_CONF:
		return &o->config_path;
	case OPTION_AGENT_USER:
		return &o->agent_user;
	case OPTION_AGENT_GROUP:
		return &o->agent_group;
	case OPTION_PAM_DIR:
		return &o->pam_dir;
	case OPTION_XSERVER:
		return &o->xserver;
	case OPTION_SCREENSHOT_PROGRAM:
		return &o->screenshot_program;
	case OPTION_FILES_PROGRAM:
		return &o->files_program;
	default:
		return NULL;
	}
}

static int default_run_dir(struct options *o, struct error *err)
{
	const char *runtime;

	if (o->run_dir)
		return 0;
	if (o->is_root) {
		o->run_dir = KEEPER_RUN_DIR;
		return 0;
	}
	runtime = getenv("XDG_RUNTIME_DIR");
	if (!runtime || runtime[0] != '/')
		return error_set(err, ERR_USAGE,
				 "without root, set XDG_RUNTIME_DIR or give --run-dir");
	if (asprintf(&o->owned[0], "%s/dcv-session-keeper", runtime) < 0) {
		o->owned[0] = NULL;
		return error_oom(err);
	}
	o->run_dir = o->owned[0];
	return 0;
}

static int default_screenshot_program(struct options *o, struct error *err)
{
	if (o->screenshot_program)
		return 0;
	if (file_beside_program("dcv-screenshot", &o->owned[1], err) < 0)
		return -1;
	if (access(o->owned[1], X_OK) < 0) { /* installed: that one is in a folder of PATH */
		free(o->owned[1]);
		o->owned[1] = strdup("/usr/bin/dcv-screenshot");
		if (!o->owned[1])
			return error_oom(err);
	}
	o->screenshot_program = o->owned[1];
	return 0;
}

static int default_files_program(struct options *o, struct error *err)
{
	if (o->files_program)
		return 0;
	if (file_beside_program("dcv-session-files", &o->owned[2], err) < 0)
		return -1;
	o->files_program = o->owned[2];
	return 0;
}

static int find_agent(struct options *o, struct error *err)
{
	const struct passwd *user = getpwnam(o->agent_user);
	const struct group *group;

	o->agent_uid = user ? user->pw_uid : (uid_t)-1;
	o->agent_gid = user ? user->pw_gid : getegid();
	if (!user && o->is_root)
		log_warning("no user '%s': only root may talk to this keeper", o->agent_user);
	if (o->agent_group) {
		group = getgrnam(o->agent_group);
		if (!group)
			return error_set(err, ERR_USAGE, "no group '%s'", o->agent_group);
		o->agent_gid = group->gr_gid;
	}
	if (!o->is_root)
		o->agent_gid = getegid(); /* the only one that we may give files to for sure */
	return 0;
}

int options_parse(struct options *ret, int argc, char **argv, struct error *err)
{
	int option;

	*ret = (struct options){
		.log_dir = KEEPER_LOG_DIR,
		.config_path = AGENT_CONFIG_PATH,
		.xserver = KEEPER_XSERVER,
		.agent_user = AGENT_USER,
		.is_root = geteuid() == 0,
		.ready_fd = -1,
	};
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		const char **text = text_option(ret, option);

		if (text)
			*text = optarg;
		else if (option == OPTION_READY_FD && ready_parse(optarg, &ret->ready_fd, err) < 0)
			return -1;
		else if (option == OPTION_HELP)
			ret->help = true;
		else if (option == OPTION_VERSION)
			ret->version = true;
		else if (option == '?')
			return error_set(err, ERR_USAGE, "%s: unknown, or its value is missing",
					 argv[optind - 1]);
	}
	if (ret->help || ret->version)
		return 0;
	if (optind < argc)
		return error_set(err, ERR_USAGE, "%s: not an option", argv[optind]);
	if (default_run_dir(ret, err) < 0 || default_screenshot_program(ret, err) < 0 ||
	    default_files_program(ret, err) < 0)
		return -1;
	return find_agent(ret, err);
}

void options_done(struct options *options)
{
	for (size_t i = 0; i < ARRAY_SIZE(options->owned); i++)
		free(options->owned[i]);
}

bool options_may_talk(const struct options *options, uid_t uid)
{
	return uid == 0 || uid == geteuid() ||
	       (options->agent_uid != (uid_t)-1 && uid == options->agent_uid);
}
