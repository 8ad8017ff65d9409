#include "agent/keeper/pam.h"

#include <errno.h>
#include <grp.h>
#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"

/* There is nobody to ask: texts are logged, questions fail. */
static int converse(int n, const struct pam_message **messages, struct pam_response **ret,
		    void *data)
{
	struct pam_response *responses;

	(void)data;
	if (n < 1 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	for (int i = 0; i < n; i++) {
		int style = messages[i]->msg_style;

		if (style != PAM_TEXT_INFO && style != PAM_ERROR_MSG)
			return PAM_CONV_ERR;
		log_info(PAM_SAYS "%s", messages[i]->msg);
	}
	responses = calloc((size_t)n, sizeof(*responses));
	if (!responses)
		return PAM_BUF_ERR;
	*ret = responses;
	return PAM_SUCCESS;
}

static void read_limits(struct rlimit *ret)
{
	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		(void)getrlimit((__rlimit_resource_t)i, &ret[i]);
}

void pam_init(struct pam *pam)
{
	*pam = (struct pam){.umask = umask(022)};
	(void)umask(pam->umask);
	read_limits(pam->limits);
}

/* A module says no to this user; everything else is a host on which PAM does not work. */
static bool is_refusal(int rc)
{
	return rc == PAM_PERM_DENIED || rc == PAM_AUTH_ERR || rc == PAM_USER_UNKNOWN ||
	       rc == PAM_ACCT_EXPIRED || rc == PAM_CRED_EXPIRED || rc == PAM_AUTHTOK_EXPIRED ||
	       rc == PAM_MAXTRIES;
}

static int fail(struct pam *pam, const char *what, int rc, struct error *err)
{
	return error_set(err, is_refusal(rc) ? ERR_DENIED : ERR_SYSTEM, "%s: %s", what,
			 pam_strerror(pam->handle, rc));
}

static int check_account(struct pam *pam, const char *user, struct error *err)
{
	int rc = pam_acct_mgmt(pam->handle, PAM_SILENT);

	if (rc == PAM_SUCCESS)
		return 0;
	if (rc == PAM_ACCT_EXPIRED)
		return error_set(err, ERR_DENIED, "the account of user %s has expired", user);
	if (rc == PAM_NEW_AUTHTOK_REQD)
		return error_set(err, ERR_DENIED, "the password of user %s has expired", user);
	(void)fail(pam, "the account check", rc, err);
	return error_prefix(err, "user %s was refused by PAM", user);
}

/* Keep for the programs what the modules set, and get our own back. */
static void set_aside(struct pam *pam, const struct rlimit *own)
{
	pam->umask = umask(022);
	read_limits(pam->limits);
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		struct rlimit limit = own[i];

		if (setrlimit((__rlimit_resource_t)i, &limit) == 0)
			continue;
		/* A hard limit goes up only with CAP_SYS_RESOURCE. */
		limit.rlim_max = pam->limits[i].rlim_max;
		if (limit.rlim_cur > limit.rlim_max)
			limit.rlim_cur = limit.rlim_max;
		(void)setrlimit((__rlimit_resource_t)i, &limit);
	}
}

static int open_session(struct pam *pam, const struct account *owner, struct error *err)
{
	struct rlimit own[RLIM_NLIMITS] = {0};
	int rc;

	/* Before pam_setcred, which may add to the groups (pam_group). */
	if (initgroups(owner->name, owner->gid) < 0) {
		(void)error_errno(err, "set the groups of user %s", owner->name);
		return error_blame_host(err);
	}
	rc = pam_setcred(pam->handle, PAM_ESTABLISH_CRED | PAM_SILENT);
	if (rc != PAM_SUCCESS)
		return fail(pam, "PAM credentials", rc, err);
	pam->has_credentials = true;
	read_limits(own);
	rc = pam_open_session(pam->handle, PAM_SILENT);
	set_aside(pam, own);
	if (rc != PAM_SUCCESS)
		return fail(pam, "PAM session", rc, err);
	pam->is_open = true;
	return 0;
}

int pam_open(struct pam *pam, const struct account *owner, const char *config_dir,
	     struct error *err)
{
	static const struct pam_conv conversation = {.conv = converse};
	/* What pam_systemd is to know of the session. */
	static const char *const hints[] = {"XDG_SESSION_CLASS=user", "XDG_SESSION_TYPE=x11"};
	int rc;

	rc = config_dir ? pam_start_confdir(KEEPER_PAM_SERVICE, owner->name, &conversation,
					    config_dir, &pam->handle)
			: pam_start(KEEPER_PAM_SERVICE, owner->name, &conversation, &pam->handle);
	if (rc != PAM_SUCCESS) {
		pam->handle = NULL;
		return error_set(err, ERR_SYSTEM, "pam_start failed with %d", rc);
	}
	for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
		rc = pam_putenv(pam->handle, hints[i]);
		if (rc != PAM_SUCCESS)
			return fail(pam, "pam_putenv", rc, err);
	}
	if (check_account(pam, owner->name, err) < 0)
		return -1;
	return open_session(pam, owner, err);
}

char **pam_variables(struct pam *pam)
{
	return pam->handle ? pam_getenvlist(pam->handle) : NULL;
}

void pam_variables_freep(char ***vars)
{
	for (char **var = *vars; var && *var; var++)
		free(*var);
	free(*vars);
	*vars = NULL;
}

void pam_done(struct pam *pam)
{
	int rc = PAM_SUCCESS;

	if (!pam->handle)
		return;
	if (pam->is_open)
		rc = pam_close_session(pam->handle, PAM_SILENT);
	/* Usual with pam_systemd: for logind a session whose scope is empty has ended already. */
	if (rc != PAM_SUCCESS)
		log_debug("PAM did not close the session: %s", pam_strerror(pam->handle, rc));
	if (pam->has_credentials)
		(void)pam_setcred(pam->handle, PAM_DELETE_CRED | PAM_SILENT);
	(void)pam_end(pam->handle, rc);
	pam->handle = NULL;
}

int pam_apply_limits(const struct pam *pam, struct error *err)
{
	(void)umask(pam->umask);
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		if (setrlimit((__rlimit_resource_t)i, &pam->limits[i]) < 0 && errno != EPERM)
			return error_errno(err, "set resource limit %d", i);
	}
	return 0;
}
