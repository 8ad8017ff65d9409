#include "agent/caller.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

#define NSS_MAX_BYTES 65536

static bool is_member(const struct http_request *request, const char *group_name)
{
	AUTO(free_p) char *room = malloc(NSS_MAX_BYTES);
	struct group group, *found = NULL;

	if (!room || getgrnam_r(group_name, &group, room, NSS_MAX_BYTES, &found) != 0 || !found)
		return false;
	for (size_t i = 0; i < request->n_peer_groups; i++) {
		if (request->peer_groups[i] == group.gr_gid)
			return true;
	}
	return false;
}

static char *user_name(uid_t uid)
{
	AUTO(free_p) char *room = malloc(NSS_MAX_BYTES);
	struct passwd user, *found = NULL;

	if (!room || getpwuid_r(uid, &user, room, NSS_MAX_BYTES, &found) != 0 || !found)
		return NULL;
	return strdup(user.pw_name);
}

struct caller *caller_from_peer(const struct http_request *request, const char *admin_group,
				struct error *err)
{
	uid_t uid = request->peer_uid;
	struct caller *caller = calloc(1, sizeof(*caller));

	if (!caller) {
		(void)error_oom(err);
		return NULL;
	}
	caller->name = user_name(uid);
	if (!caller->name) {
		(void)error_set(err, ERR_DENIED, "there is no user with uid %u", (unsigned)uid);
		caller_free(caller);
		return NULL;
	}
	caller->is_root = uid == 0 || uid == geteuid();
	caller->is_admin = caller->is_root || is_member(request, admin_group);
	return caller;
}

void caller_free(struct caller *caller)
{
	if (!caller)
		return;
	free(caller->name);
	free(caller);
}

int caller_check(const struct caller *caller, const struct operation *op, struct error *err)
{
	if (op->who == CALLER_ADMIN && !caller->is_admin)
		return error_set(err, ERR_DENIED, "user %s may not call %s", caller->name,
				 op->name);
	return 0;
}

bool caller_may_read(const struct caller *caller, const char *owner)
{
	return caller->is_root || (!caller->is_broker && strcmp(caller->name, owner) == 0);
}

bool caller_owns(const struct caller *caller, const char *owner)
{
	return caller->is_admin || strcmp(caller->name, owner) == 0;
}
