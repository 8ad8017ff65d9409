/**
 * Whom does a connection token let in? One of this host's own is checked here; any other is shown to the
 * broker, which has made it, in the way in which an Amazon DCV server does it: POST
 * /agent/validate-authentication-token. Source: the administrator reference, section 16.
 */
#ifndef AGENT_ADMISSION_H
#define AGENT_ADMISSION_H

#include "agent/config.h"
#include "agent/token.h"
#include "common/loop.h"

struct admission;

struct admission *admission_new(struct loop *loop, const struct agent_config *config,
				const struct token_key *key, struct error *err);

/** After the loop has stopped. Takes NULL. */
void admission_free(struct admission *admission);

struct admission_question {
	const char *token, *session_id;
	const char *address; /* of who shows it */
};

/**
 * @user NULL: nobody, and @err tells why, for the log. ERR_UNAUTHORIZED: the token is not good; else it is
 * not known whether it is.
 */
typedef void (*admission_fn)(const char *user, const struct error *err, void *userdata);

/** Ask; @fn is called later, once, unless the loop stops before. Texts are copied. */
int admission_ask(struct admission *admission, const struct admission_question *question,
		  admission_fn fn, void *userdata, struct error *err);

/**
 * The session that a token says it is for, which may be a lie; free() it. NULL with ERR_UNAUTHORIZED: it
 * says none.
 */
char *admission_session_of(const char *token, struct error *err);

/**
 * The user that the broker's answer lets in; free() it. NULL with ERR_UNAUTHORIZED, and with ERR_INVALID if
 * it is no answer.
 */
char *admission_read_verdict(const char *text, struct error *err);

#endif
