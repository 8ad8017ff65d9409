/** The environment that a session's programs get. Nothing of the keeper's own leaks into it. */
#ifndef AGENT_KEEPER_ENVIRONMENT_H
#define AGENT_KEEPER_ENVIRONMENT_H

#include <stddef.h>

#include "agent/account.h"
#include "common/error.h"

struct environment {
	char **vars; /* n of them and a NULL, ready for execve() */
	size_t n;
};

/**
 * Fill an empty environment: what PAM said (@from_pam: NAME=value strings, or NULL), below it
 * defaults for PATH and LANG, above it what the account and the session determine.
 */
int environment_init(struct environment *env, char *const *from_pam, const struct account *owner,
		     const char *session_id, struct error *err);
void environment_done(struct environment *env);

/** Set or replace one variable. */
int environment_set(struct environment *env, const char *name, const char *value,
		    struct error *err);

/** The value, NULL if it is not set. */
const char *environment_get(const struct environment *env, const char *name);

#endif
