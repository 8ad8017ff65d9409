/**
 * The owner's PAM session: account check, credentials, session; and what the modules did to this
 * process that is meant for the session's programs.
 *
 * Modules change the process that calls them (limits, umask, groups, cgroup, key rings). Cgroup,
 * groups and key ring are inherited by the programs. Limits and umask are put aside for them and
 * taken back here, as far as the kernel lets us: a limit on processor time is not for the keeper.
 */
#ifndef AGENT_KEEPER_PAM_H
#define AGENT_KEEPER_PAM_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "agent/account.h"
#include "common/error.h"

/** Name of the service file. */
#define PAM_SAYS "PAM: " /* so begins a log line with the words of a module */
#define KEEPER_PAM_SERVICE "dcv-session-keeper"

struct pam_handle;

struct pam {
	struct pam_handle *handle; /* NULL: no PAM, for a keeper without root */
	bool has_credentials;
	bool is_open;
	mode_t umask; /* of the programs */
	struct rlimit limits[RLIM_NLIMITS];
};

/** Without PAM: the programs get the umask and the limits that we have ourselves. */
void pam_init(struct pam *pam);

/**
 * Open a session for @owner; @config_dir as for pam_start_confdir(), NULL for the system's.
 * Call pam_done() also after a failure. May block: see guard.h.
 */
int pam_open(struct pam *pam, const struct account *owner, const char *config_dir,
	     struct error *err);

/** The variables that modules have set; NULL or an array that environment_init() takes. */
char **pam_variables(struct pam *pam);
void pam_variables_freep(char ***vars);

/** Close what is open. May block. */
void pam_done(struct pam *pam);

/** In a program, before it becomes the owner: put limits and umask into force. */
int pam_apply_limits(const struct pam *pam, struct error *err);

#endif
