/** The owner of a session, as the host knows them. */
#ifndef AGENT_ACCOUNT_H
#define AGENT_ACCOUNT_H

#include <sys/types.h>

#include "agent/config.h"
#include "common/error.h"

struct account {
	char *name;
	char *home;
	char *shell;
	uid_t uid;
	gid_t gid;
};

/**
 * Look up @name and refuse whoever may not own a session: uid 0 and every uid below minimum_uid
 * (the number decides, whatever the name), locked and expired accounts, accounts without a login
 * shell. May block in name services, which are asked user_lookup_tries times. The account's name is
 * the one that it has there: that of "CORP\mira" may be "mira@corp.example".
 *
 * @use: ACCOUNT_TO_BECOME refuses, without root, everybody but our own user; ACCOUNT_TO_NAME is for
 * who has another program become that user
 */
enum account_use { ACCOUNT_TO_BECOME, ACCOUNT_TO_NAME };
int account_find(struct account *ret, const char *name, const struct agent_config *config,
		 enum account_use use, struct error *err);

/** Become the owner and nobody else, for ever: for a process that is to run their programs. */
int account_become(const struct account *account, struct error *err);

void account_done(struct account *account);

#endif
