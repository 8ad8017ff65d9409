#include "agent/keeper/options.h"

#include <errno.h>
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
#include "common/program-options.h"

int options_read(struct options *o, int argc, char **argv)
{
	const struct program_option table[] = {
		{"listen", "PATH", "accept connections at this Unix socket, one process for each",
		 .text = &o->listen_path},
		{"run-dir", "DIR",
		 "sessions' folders (default: dcv-session-keeper in /run or $XDG_RUNTIME_DIR)",
		 .text = &o->run_dir},
		{"log-dir", "DIR", "logs of sessions", KEEPER_LOG_DIR, .text = &o->log_dir},
		{"conf", "FILE", "settings", AGENT_CONFIG_PATH, .text = &o->config_path},
		{"agent-user", "NAME",
		 "user whose connections are accepted, besides root and oneself", AGENT_USER,
		 .text = &o->agent_user},
		{"agent-group", "NAME", "group of sockets and logs (default: that user's)",
		 .text = &o->agent_group},
		{"pam-dir", "DIR", "folder of the PAM service file (default: the system's)",
		 .text = &o->pam_dir},
		{"xserver", "PROGRAM", "X server", KEEPER_XSERVER, .text = &o->xserver},
		{"screenshot-program", "PATH",
		 "capture program (default: dcv-screenshot beside this program)",
		 .text = &o->screenshot_program},
		{"files-program", "PATH",
		 "program for viewers' file transfer (default: dcv-session-files beside this one)",
		 .text = &o->files_program},
		{0},
	};
	const struct program_options options = {
		.use = "Usage: dcv-session-keeper [OPTION...]\n"
		       "Begin a remote desktop session for its owner, hold it, and end it with\n"
		       "all that runs in it.\n\n"
		       "Without --listen one connection is served: descriptor 3 from a systemd\n"
		       "socket with Accept=yes, or standard input.\n",
		.table = table,
		.ready_fd = &o->ready_fd,
	};

	return program_options_read(&options, argc, argv);
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

int options_resolve(struct options *o, struct error *err)
{
	o->is_root = geteuid() == 0;
	if (default_run_dir(o, err) < 0 || default_screenshot_program(o, err) < 0 ||
	    default_files_program(o, err) < 0)
		return -1;
	return find_agent(o, err);
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
