#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/doctor/doctor.h"
#include "agent/engines/engine.h"
#include "agent/keeper/pam.h"
#include "agent/tags.h"
#include "agent/trust.h"
#include "common/cleanup.h"
#include "common/finding.h"
#include "common/json.h"

#define UNKNOWN (-1)

/* --- as the agent ------------------------------------------------------------------------------
 */

_Noreturn static void try_access(const struct account *who, const char *path, int mode)
{
	struct error ignored;

	if (initgroups(who->name, who->gid) < 0 ||
	    (who->uid != 0 && account_become(who, &ignored) < 0))
		_exit(255);
	_exit(access(path, mode) == 0 ? 0 : errno);
}

/* 0, an errno, or UNKNOWN: only root, and the agent's user, can see what that one may do. */
static int access_as_agent(const struct doctor *d, const char *path, int mode)
{
	int status;
	pid_t pid;

	if (!d->has_agent)
		return UNKNOWN;
	if (geteuid() == d->agent.uid)
		return access(path, mode) == 0 ? 0 : errno;
	if (geteuid() != 0)
		return UNKNOWN;
	pid = fork();
	if (pid == 0)
		try_access(&d->agent, path, mode);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == 255)
		return UNKNOWN;
	return WEXITSTATUS(status);
}

/* "root:root, mode 0755" */
static void describe_mode(const char *path, char *ret, size_t size)
{
	const struct passwd *user;
	const struct group *group;
	struct stat st;

	if (stat(path, &st) < 0) {
		(void)snprintf(ret, size, "%s", strerror(errno));
		return;
	}
	user = getpwuid(st.st_uid);
	group = getgrgid(st.st_gid);
	(void)snprintf(ret, size, "%s:%s, mode %04o", user ? user->pw_name : "?",
		       group ? group->gr_name : "?", (unsigned)st.st_mode & 07777);
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
}

/* What is missing may come by itself: the agent makes it, or the service manager when it starts the
 * agent, and removes it when that stops. */
enum maker { MADE_BY_NOBODY, MADE_BY_AGENT, MADE_BY_SERVICE };

struct need {
	const char *what; /* "the folder of the log" */
	const char *path;
	int mode;            /* for access() */
	enum maker maker;    /* where it is missing */
	const char *mending; /* the command, without its last word, the path */
};

static void check_need(struct doctor *d, const struct need *need)
{
	int problem = access_as_agent(d, need->path, need->mode);
	AUTO(free_p) char *parent = parent_of(need->path);
	const char *verb = need->mode & W_OK ? "write" : "read";
	char advice[512], mode[128];

	if (problem == ENOENT && need->maker == MADE_BY_AGENT && parent &&
	    access_as_agent(d, parent, W_OK | X_OK) == 0)
		problem = 0;
	describe_mode(need->path, mode, sizeof(mode));
	(void)snprintf(advice, sizeof(advice), need->mending, d->agent.name, d->agent.name);
	(void)snprintf(advice + strlen(advice), sizeof(advice) - strlen(advice), " %s", need->path);
	if (problem == 0)
		finding_add(d->findings, "folders", FINDING_OK, NULL, "the agent can %s %s %s",
			    verb, need->what, need->path);
	else if (problem == ENOENT && need->maker == MADE_BY_SERVICE)
		finding_add(d->findings, "folders", FINDING_WARNING, advice, "%s %s is not there",
			    need->what, need->path);
	else if (problem == UNKNOWN)
		finding_add(d->findings, "folders", FINDING_NOT_CHECKED, "Ask as root.",
			    "whether the agent can %s %s %s", verb, need->what, need->path);
	else
		finding_add(d->findings, "folders", FINDING_ERROR, advice,
			    "the agent cannot %s %s %s: %s (%s)", verb, need->what, need->path,
			    strerror(problem), mode);
}

static void check_needs(struct doctor *d)
{
	static const char own[] = "install -d -o %s -g %s -m 700";
	static const char readable[] = "chgrp %s";
	AUTO(free_p) char *socket_folder = parent_of(d->options->socket);
	const struct need always[] = {
		{"what survives a restart in", d->options->state_folder, R_OK | W_OK | X_OK,
		 MADE_BY_AGENT, own},
		{"the folder of its socket", socket_folder ? socket_folder : "", W_OK | X_OK,
		 MADE_BY_SERVICE,
		 "Its service makes it at the start; without systemd: install -d -o %s -g %s"},
		{"the log in", d->config.log_directory, W_OK | X_OK, MADE_BY_NOBODY, own},
	};
	const struct need linked[] = {
		{"the broker's authority", d->config.ca_file, R_OK, MADE_BY_NOBODY, "chmod a+r"},
		{"the software statement", d->config.software_statement_path, R_OK, MADE_BY_NOBODY,
		 "Copy the broker's statement there, then: chmod 640, and chgrp %s"},
	};
	const struct need tags = {"the tags in", d->config.tags_folder, R_OK | X_OK, MADE_BY_NOBODY,
				  readable};

	for (size_t i = 0; i < ARRAY_SIZE(always); i++) {
		if (always[i].path)
			check_need(d, &always[i]);
	}
	for (size_t i = 0; d->config.broker_host && i < ARRAY_SIZE(linked); i++) {
		if (linked[i].path)
			check_need(d, &linked[i]);
	}
	if (tags.path)
		check_need(d, &tags);
}

/* --- tags ---------------------------------------------------------------------------------------
 */

static void check_tags(struct doctor *d)
{
	bool is_ours = geteuid() == 0 || (d->has_agent && d->agent.uid == geteuid());
	json_auto_t *wrong = json_array();
	json_auto_t *tags = NULL;
	json_t *text;
	size_t i;

	/* that of the folder has been told */
	if (d->config.tags_folder && access(d->config.tags_folder, R_OK | X_OK) < 0)
		return;
	tags = wrong ? tags_load(&d->config, wrong) : NULL;
	if (tags && json_array_size(wrong) == 0)
		finding_add(d->findings, "tags", FINDING_OK, NULL, "the tag files are in order");
	json_array_foreach(wrong, i, text)
		finding_add(d->findings, "tags", is_ours ? FINDING_WARNING : FINDING_NOT_CHECKED,
			    is_ours ? "Correct it (man agent.conf: TAGS) and restart the agent."
				    : "Ask as root.",
			    "%s", json_string_value(text));
}

/* --- what nobody may change --------------------------------------------------------------------
 */

/* Root's; an agent that somebody runs for themselves trusts that user, too. */
static uid_t trusted_uid(const struct doctor *d)
{
	return d->has_agent && d->has_config && d->agent.uid == geteuid() &&
			       (long long)geteuid() >= d->config.minimum_uid
		       ? geteuid()
		       : 0;
}

/* @missing: what it means that it is not there; NULL: nothing. @is_for_owners: who must get in. */
static void check_trust(struct doctor *d, const char *what, const char *path, const char *missing,
			bool is_for_owners)
{
	char advice[512];
	struct error err = {0};
	struct stat st;

	(void)snprintf(
		advice, sizeof(advice),
		"What lies there is believed by other people's sessions. Let root own it and "
		"all above it: chown root FOLDER; chmod go-w FOLDER");
	if (trust_check_path(path, trusted_uid(d), &err) < 0) {
		bool is_hidden = geteuid() != 0 && err.code == ERR_DENIED && stat(path, &st) < 0;

		finding_add(d->findings, "folders", is_hidden ? FINDING_NOT_CHECKED : FINDING_ERROR,
			    is_hidden ? "Ask as root." : advice, "%s: %s", what, err.message);
	} else if (stat(path, &st) < 0) {
		(void)snprintf(advice, sizeof(advice), "install -d %s", path);
		finding_add(d->findings, "folders", missing ? FINDING_WARNING : FINDING_OK,
			    missing ? advice : NULL, "%s %s is not there%s%s", what, path,
			    missing ? ": " : "", missing ? missing : "");
	} else if (is_for_owners && !(st.st_mode & S_IXOTH)) {
		(void)snprintf(advice, sizeof(advice), "chmod a+rx %s", path);
		finding_add(d->findings, "folders", FINDING_WARNING, advice,
			    "%s %s can be entered by few owners of sessions (mode %04o)", what,
			    path, (unsigned)st.st_mode & 07777);
	} else {
		finding_add(d->findings, "folders", FINDING_OK, NULL,
			    "%s %s can be changed by root alone", what, path);
	}
}

void doctor_check_folders(struct doctor *d)
{
	const struct agent_config *config = &d->config;

	if (d->has_config) {
		check_trust(d, "the folder of init files", config->init_folder,
			    "no session can name an InitFile", true);
		check_trust(d, "the folder of autorun files", config->autorun_folder,
			    "no session can name an AutorunFile", true);
		check_trust(d, "the default permission file", config->permissions_default_file,
			    NULL, false);
		for (const char *path = config->permissions_import_folders; path && *path;
		     path += strlen(path) + 1)
			check_trust(d, "the folder for imports of permission files", path, NULL,
				    false);
	}
	check_trust(d, "the folder of the keepers' logs", d->options->keeper_log_dir, NULL, false);
	if (d->has_agent)
		check_needs(d);
	if (d->has_config)
		check_tags(d);
}

/* --- PAM ---------------------------------------------------------------------------------------
 */

void doctor_check_pam(struct doctor *d)
{
	/* In the order of PAM, which never looks elsewhere if a folder was named. */
	const char *const folders[] = {d->options->pam_dir ? d->options->pam_dir : "/etc/pam.d",
				       d->options->pam_dir ? NULL : "/usr/lib/pam.d"};
	struct error err = {0};

	/* Another product's sessions are its own affair, and a keeper without root opens none. */
	if ((d->has_config && engine_is_dcv(&d->config)) ||
	    (geteuid() != 0 && d->has_agent && d->agent.uid == geteuid()))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(folders) && folders[i]; i++) {
		AUTO(free_p) char *path = NULL;

		if (asprintf(&path, "%s/" KEEPER_PAM_SERVICE, folders[i]) < 0)
			path = NULL;
		if (!path || access(path, F_OK) < 0)
			continue;
		if (trust_check_path(path, 0, &err) < 0)
			finding_add(d->findings, "pam", FINDING_ERROR,
				    "chown root, chmod go-w: it decides what sessions may do.",
				    "%s", err.message);
		else
			finding_add(d->findings, "pam", FINDING_OK, NULL, "%s is there", path);
		return;
	}
	finding_add(
		d->findings, "pam", FINDING_ERROR,
		"Install packaging/pam/dcv-session-keeper there (mode 644; of a package: dpkg -i "
		"--force-confmiss); without it PAM goes by the service \"other\", which refuses or "
		"knows nothing of desktops.",
		"there is no PAM file %s/" KEEPER_PAM_SERVICE, folders[0]);
}
