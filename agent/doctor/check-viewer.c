/* The web viewer, by who listens on its port: it may be nobody, or the broker of the same host, which
 * has the same port for its clients by default. Source: proc(5), /proc/net/tcp. */
#include <pwd.h>
#include <stdio.h>

#include "agent/doctor/doctor.h"
#include "agent/engines/engine.h"
#include "common/cleanup.h"
#include "common/finding.h"

#define STATE_LISTEN 0x0A

/* Whether somebody listens on @port; @wanted, if it is one of them, else any. */
static bool find_in(const char *table, unsigned port, uid_t wanted, uid_t *ret)
{
	AUTO(fclose_p) FILE *file = fopen(table, "re");
	unsigned local_port, state, uid;
	bool is_found = false;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %*u: %*32[0-9A-F]:%x %*32[0-9A-F]:%*x %x %*s %*s %*s %u",
			   &local_port, &state, &uid) != 3 ||
		    local_port != port || state != STATE_LISTEN)
			continue;
		is_found = true;
		*ret = uid;
		if (uid == wanted)
			break;
	}
	return is_found;
}

static bool find_listener(unsigned port, uid_t wanted, uid_t *ret)
{
	bool is_found = find_in("/proc/net/tcp", port, wanted, ret);

	if (is_found && *ret == wanted)
		return true;
	return find_in("/proc/net/tcp6", port, wanted, ret) || is_found;
}

void doctor_check_viewer(struct doctor *d)
{
	const char *user = d->config.viewer_user;
	const unsigned port = (unsigned)d->config.viewer_port;
	const struct passwd *entry;
	uid_t wanted, uid;

	if (!d->has_config || engine_is_dcv(&d->config))
		return;
	entry = getpwnam(user);
	if (!entry) {
		finding_add(d->findings, "viewer", FINDING_OK, NULL,
			    "there is no user %s: no viewer shows the sessions in browsers", user);
		return;
	}
	wanted = entry->pw_uid;
	if (!find_listener(port, wanted, &uid)) {
		finding_add(d->findings, "viewer", FINDING_WARNING,
			    "systemctl restart dcv-session-viewer; the journal says why it ends.",
			    "no viewer listens on port %u", port);
		return;
	}
	if (uid == wanted) {
		doctor_check_viewer_certificate(d);
		return;
	}
	entry = getpwuid(uid);
	finding_add(d->findings, "viewer", FINDING_WARNING,
		    "Give the viewer another port: under [viewer] in agent.conf, port = 8444 for "
		    "instance; then systemctl restart dcv-session-viewer.",
		    "port %u, the viewer's, is taken by a program of %s", port,
		    entry ? entry->pw_name : "an unknown user");
}
