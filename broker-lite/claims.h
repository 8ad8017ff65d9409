/**
 * What the claims of a genuine token must say. Sources: RFC 7519, 4.1; RFC 8693, 4.2 (scope); the
 * administrator reference, "Verification rules".
 */
#ifndef BROKER_CLAIMS_H
#define BROKER_CLAIMS_H

#include <jansson.h>

#include "common/error.h"

/** NULL: not checked. */
struct claims_rules {
	const char *issuer;
	const char *audience;
	const char *scope; /* words with blanks between them, all of which the token must have */
};

/**
 * Has their time come and not passed? "exp" must be there, "nbf" and "iat" may. ERR_UNAUTHORIZED with
 * the reason. *@ret_expires_s: when it will have passed, without the leeway.
 */
int claims_check_times(const json_t *claims, long long now_s, long long *ret_expires_s,
		       struct error *err);

/** ERR_UNAUTHORIZED another issuer; ERR_DENIED the audience or a scope is lacking. */
int claims_check_rules(const json_t *claims, const struct claims_rules *rules, struct error *err);

/** What the client calls itself, for the log: "client_id", "azp", or "sub". "" if it says nothing. */
const char *claims_client_name(const json_t *claims);

#endif
