/**
 * Is this host fit for sessions? Everything that the agent, the keepers and the owners of sessions need,
 * looked at one by one and with the agent's own code, whether the agent runs or not. Nothing is changed.
 *
 * Root sees everything; for others, what they may not look at is "not checked". What only a running
 * agent knows is asked of it by dcvctl, which also prints the findings.
 */
#ifndef AGENT_DOCTOR_DOCTOR_H
#define AGENT_DOCTOR_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>

#include "agent/account.h"
#include "agent/config.h"

struct doctor_options {
	const char *conf, *state_folder, *socket;
	const char *keeper_socket, *keeper_log_dir;
	const char *pam_dir; /* NULL: the system's */
	const char *xserver; /* path, or a name to be found in the system's folders */
	const char *agent_user;
	const char *owner; /* who is to have a session; NULL: nobody in particular */
};

/** What the checks share. */
struct doctor {
	const struct doctor_options *options;
	struct agent_config config;
	bool has_config;
	struct account agent; /* the user whom the agent runs as: name, uid, gid */
	bool has_agent;
	json_t *findings; /* see finding.h */
};

/** The command line `dcv-session-manager-agent doctor [OPTION...]`: exit status. */
int doctor_main(int argc, char **argv);

/* --- the checks: each appends what it has found ------------------------------------------------
 */

void doctor_check_settings(struct doctor *d);
void doctor_check_accounts(struct doctor *d);
void doctor_check_folders(struct doctor *d);
void doctor_check_pam(struct doctor *d);
void doctor_check_programs(struct doctor *d);
void doctor_check_disks(struct doctor *d);

/** The keeper and the broker: those that are asked over a socket. Blocks for some seconds. */
void doctor_check_peers(struct doctor *d);

/** The web viewer, as a browser sees it. Blocks for some seconds at most. */
void doctor_check_viewer(struct doctor *d);

/** The owner's account, home folder and room in it, by really trying. */
void doctor_check_owner(struct doctor *d);

#endif
