/**
 * A user of the operating system, as the name service knows them: files, LDAP, Active Directory. A
 * name is what the service accepts as one: "mira", "CORP\mira", "mira@corp.example"; the entry has
 * the name that it goes by there. All of it can block for as long as a directory takes to answer.
 */
#ifndef COMMON_OS_USER_H
#define COMMON_OS_USER_H

#include <pwd.h>
#include <sys/types.h>

#include "common/error.h"

struct os_user {
	struct passwd entry;
	char *room; /* where its strings are */
};

/**
 * Look a user up. A service whose cache is cold may not know a user whom it knows a moment later, and
 * one that cannot reach its directory may do so soon: it is asked @n_tries times, with pauses that
 * double, from OS_USER_PAUSE_MS up to OS_USER_PAUSE_MAX_MS. End with os_user_done().
 *
 * Errors: ERR_NOT_FOUND there is none; ERR_SYSTEM the service does not work.
 */
#define OS_USER_PAUSE_MS 100
#define OS_USER_PAUSE_MAX_MS 1000
int os_user_find_name(struct os_user *ret, const char *name, long long n_tries, struct error *err);
int os_user_find_uid(struct os_user *ret, uid_t uid, long long n_tries, struct error *err);
void os_user_done(struct os_user *user);

#endif
