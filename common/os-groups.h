/**
 * The groups of the operating system, as the name service knows them: files, LDAP, Active
 * Directory. All of it can block for as long as a directory takes to answer.
 */
#ifndef COMMON_OS_GROUPS_H
#define COMMON_OS_GROUPS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

/** The groups of one user, primary and supplementary. Start with {0}, end with os_groups_done(). */
struct os_groups {
	gid_t *ids;
	int n;
};

/** A user whom the system does not know may be a member of groups nevertheless. */
int os_groups_load(struct os_groups *groups, const char *user, struct error *err);
void os_groups_done(struct os_groups *groups);

bool os_groups_have(const struct os_groups *groups, const char *name);
/** False: there is none, or it cannot be told. */
bool os_group_find(const char *name, gid_t *ret);

#endif
