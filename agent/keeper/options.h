/** What the command line of dcv-session-keeper says, with names resolved to numbers. */
#ifndef AGENT_KEEPER_OPTIONS_H
#define AGENT_KEEPER_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

struct options {
	const char *listen_path; /* NULL: serve the one connection that systemd has accepted */
	const char *run_dir;
	const char *log_dir;
	const char *config_path;
	const char *pam_dir; /* NULL: the system's */
	const char *xserver; /* path, or a name to be found in the system's folders */
	const char *screenshot_program;
	const char *files_program;
	const char *agent_user;
	const char *agent_group;
	uid_t agent_uid; /* (uid_t)-1 when there is no such user */
	gid_t agent_gid; /* group of control sockets and logs */
	int ready_fd;    /* told when listening; -1: none */
	bool is_root;
	char *owned[3]; /* defaults that had to be put together */
};

/** Read the command line; see program_options_read(). The strings of @argv are borrowed. */
int options_read(struct options *options, int argc, char **argv);

/** Find what the command line left open. End with options_done(). */
int options_resolve(struct options *options, struct error *err);
void options_done(struct options *options);

/** Whether a peer of this uid may talk to us: the agent, root, or ourselves. */
bool options_may_talk(const struct options *options, uid_t uid);

#endif
