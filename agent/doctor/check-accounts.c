#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "agent/doctor/doctor.h"
#include "agent/keeper/preflight.h"
#include "common/cleanup.h"
#include "common/finding.h"

#define PATIENCE_MS 2000 /* for a home folder that somebody mounts */

void doctor_check_settings(struct doctor *d)
{
	const char *path = d->options->conf;
	struct error err = {0};

	d->has_config = agent_config_load(&d->config, path, &err) == 0;
	if (d->has_config)
		finding_add(d->findings, "settings", FINDING_OK, NULL, "%s is in order", path);
	else if (err.code == ERR_DENIED && geteuid() != 0)
		finding_add(d->findings, "settings", FINDING_NOT_CHECKED, "Ask as root.", "%s",
			    err.message);
	else
		finding_add(d->findings, "settings", FINDING_ERROR,
			    "Correct the file; `dcv-session-manager-agent --print-settings` prints "
			    "one with every default, `man agent.conf` explains it.",
			    "%s", err.message);
	if (!d->has_config)
		finding_add(d->findings, "settings", FINDING_NOT_CHECKED, NULL,
			    "without the settings neither their folders nor the engine nor the "
			    "broker can be checked");
}

static bool take_account(struct doctor *d, const struct passwd *entry)
{
	d->agent = (struct account){.uid = entry->pw_uid, .gid = entry->pw_gid};
	d->agent.name = strdup(entry->pw_name);
	return d->agent.name;
}

/* Without root an agent serves the user who runs it. */
static void take_ourselves(struct doctor *d)
{
	const struct passwd *entry = getpwuid(geteuid());

	d->has_agent = entry && take_account(d, entry);
	finding_add(d->findings, "account", FINDING_WARNING,
		    "To serve everybody, install the agent and its keeper as root.",
		    "there is no user %s: an agent that you run serves you alone",
		    d->options->agent_user);
}

void doctor_check_accounts(struct doctor *d)
{
	const struct passwd *entry = getpwnam(d->options->agent_user);
	const struct group *group = d->has_config ? getgrnam(d->config.admin_group) : NULL;

	if (!entry && geteuid() != 0) {
		take_ourselves(d);
	} else if (!entry) {
		finding_add(d->findings, "account", FINDING_ERROR,
			    "useradd --system --user-group dcvsmagent",
			    "there is no user %s for the agent", d->options->agent_user);
	} else {
		d->has_agent = take_account(d, entry);
		finding_add(
			d->findings, "account", entry->pw_uid == 0 ? FINDING_WARNING : FINDING_OK,
			entry->pw_uid == 0 ? "Run it as a user of its own: it needs no privileges."
					   : NULL,
			"the agent is user %s (uid %u)", entry->pw_name, (unsigned)entry->pw_uid);
	}
	if (d->has_config)
		finding_add(d->findings, "account", FINDING_OK, NULL,
			    "administrators are root%s%s, owners of sessions have uids from %lld",
			    group ? " and members of the group " : "", group ? group->gr_name : "",
			    d->config.minimum_uid);
}

/* --- an owner ----------------------------------------------------------------------------------
 */

static void try_owner(struct doctor *d, const char *name)
{
	AUTO(account_done) struct account owner = {0};
	struct error err = {0};

	if (account_find(&owner, name, &d->config, ACCOUNT_TO_BECOME, &err) < 0)
		finding_add(d->findings, "owner", FINDING_ERROR,
			    "See the account: getent passwd, chage -l, passwd -S; minimum_uid in "
			    "agent.conf says whose uids are people's.",
			    "%s", err.message);
	else if (preflight(&owner, PATIENCE_MS, &err) < 0)
		finding_add(d->findings, "owner", FINDING_ERROR,
			    "Without a home folder with room no desktop starts: mount it, make it, "
			    "or clear it up.",
			    "%s", err.message);
	else
		finding_add(d->findings, "owner", FINDING_OK, NULL,
			    "user %s can have sessions: the account is good, %s can be written",
			    name, owner.home);
}

void doctor_check_owner(struct doctor *d)
{
	const struct passwd *self = getpwuid(geteuid());
	const char *name = d->options->owner;

	if (!d->has_config)
		return;
	if (!name && self && (long long)self->pw_uid >= d->config.minimum_uid)
		name = self->pw_name;
	if (!name)
		finding_add(d->findings, "owner", FINDING_NOT_CHECKED,
			    "Name one with --owner USER.", "no owner of sessions was named");
	else if (geteuid() != 0 && (!self || strcmp(self->pw_name, name) != 0))
		finding_add(d->findings, "owner", FINDING_NOT_CHECKED, "Ask as root.",
			    "only root can try what user %s may", name);
	else
		try_owner(d, name);
}
