/** The environment that a session's programs get. Nothing of the keeper's own leaks into it. */
#ifndef AGENT_KEEPER_ENVIRONMENT_H
#define AGENT_KEEPER_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/account.h"
#include "common/error.h"

struct environment {
	char **vars; /* n of them and a NULL, ready for execve() */
	size_t n;
};

/** What an environment is made from; all borrowed. */
struct environment_sources {
	char *const *from_pam; /* NAME=value strings, or NULL */
	const char *const
		*locale_files; /* of the host, NULL at the end; those that are not there are
					    passed over */
	const struct account *owner;
	const char *session_id;
	bool is_console;
	const char *runtime_folder; /* the owner's alone, for where PAM names none; NULL: none */
};

/** The host's: systemd's, and Debian's. */
extern const char *const environment_locale_files[];

/**
 * Fill an empty environment. In this order, what comes later has the last word:
 *  1. PATH of the system, LANG=C.UTF-8
 *  2. LANG, LANGUAGE and LC_* of the host's locale files
 *  3. what PAM's modules have set, without what would have the desktop made of other parts than the
 *     host's: some variables are left out (DROPPED in environment.c), and folders in the owner's home
 *     go to the end of PATH and out of the other search paths (SEARCHED)
 *  4. XDG_SESSION_TYPE, XDG_SESSION_CLASS, and XDG_RUNTIME_DIR if there is none
 *  5. HOME, USER, LOGNAME, SHELL of the account
 *  6. DCV_SESSION_ID, DCV_SESSION_OWNER, DCV_SESSION_TYPE
 * The display's variables are set when there is one. No shell profile is read.
 */
int environment_init(struct environment *env, const struct environment_sources *sources,
		     struct error *err);
void environment_done(struct environment *env);

/** Set or replace one variable. */
int environment_set(struct environment *env, const char *name, const char *value,
		    struct error *err);

/** The value, NULL if it is not set. */
const char *environment_get(const struct environment *env, const char *name);

#endif
