#include "common/os-groups.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/os-user.h"

#define ROOM_BYTES 4096
#define ROOM_MAX_BYTES (4 * 1024 * 1024) /* of a group with its members */
#define GROUPS_MAX 65536                 /* the kernel's limit */

bool os_group_find(const char *name, gid_t *ret)
{
	struct group group, *found = NULL;
	int problem = ERANGE;

	for (size_t size = ROOM_BYTES; problem == ERANGE && size <= ROOM_MAX_BYTES; size *= 4) {
		AUTO(free_p) char *room = malloc(size);

		problem = room ? getgrnam_r(name, &group, room, size, &found) : ENOMEM;
	}
	if (problem != 0 || !found)
		return false;
	*ret = found->gr_gid;
	return true;
}

int os_groups_load(struct os_groups *groups, const char *user, struct error *err)
{
	AUTO(os_user_done) struct os_user found = {0};
	struct error ignored;
	gid_t primary = os_user_find_name(&found, user, 1, &ignored) == 0 ? found.entry.pw_gid
									  : (gid_t)-1;
	int n = 32;

	for (;;) {
		gid_t *ids = reallocarray(groups->ids, (size_t)n, sizeof(*ids));
		int wanted = n;

		if (!ids)
			return error_oom(err);
		groups->ids = ids;
		if (getgrouplist(user, primary, ids, &wanted) >= 0) {
			groups->n = wanted;
			return 0;
		}
		if (n >= GROUPS_MAX)
			return error_set(err, ERR_LIMIT, "user %s is in more than %d groups", user,
					 GROUPS_MAX);
		n = wanted > n ? wanted : n * 2;
	}
}

void os_groups_done(struct os_groups *groups)
{
	free(groups->ids);
	*groups = (struct os_groups){0};
}

bool os_groups_have(const struct os_groups *groups, const char *name)
{
	gid_t gid;

	if (!os_group_find(name, &gid))
		return false;
	for (int i = 0; i < groups->n; i++) {
		if (groups->ids[i] == gid)
			return true;
	}
	return false;
}
