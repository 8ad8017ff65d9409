#include "agent/caller.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/os-groups.h"
#include "common/os-user.h"

static bool is_member(const struct http_request *request, const char *group_name)
{
	gid_t gid;

	if (!os_group_find(group_name, &gid))
		return false;
	for (size_t i = 0; i < request->n_peer_groups; i++) {
		if (request->peer_groups[i] == gid)
			return true;
	}
	return false;
}

/* Root's name is known, so that an administrator is served while name services are not. */
static int find_name(struct caller *caller, uid_t uid, struct error *err)
{
	AUTO(os_user_done) struct os_user user = {0};

	if (uid != 0 && os_user_find_uid(&user, uid, 1, err) < 0)
		return err->code == ERR_NOT_FOUND
			       ? error_set(err, ERR_DENIED, "there is no user with uid %u",
					   (unsigned)uid)
			       : -1;
	caller->name = strdup(uid == 0 ? "root" : user.entry.pw_name);
	return caller->name ? 0 : error_oom(err);
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
	if (find_name(caller, uid, err) < 0) {
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

bool caller_may_read(const struct caller *caller, const struct session *session)
{
	return caller->is_root || (!caller->is_broker && session_is_of(session, caller->name));
}

bool caller_owns(const struct caller *caller, const char *owner)
{
	return caller->is_admin || strcmp(caller->name, owner) == 0;
}

bool caller_owns_session(const struct caller *caller, const struct session *session)
{
	return caller->is_admin || session_is_of(session, caller->name);
}
