/**
 * Connection tokens: what a user shows to the host of a session, and what the host asks us about.
 *
 * A token is good for one session, from its creation to its end, and one user. Sources: the API
 * reference, "Session URLs and the connection token"; the administrator reference, "DCV server:
 * token verification".
 */
#ifndef BROKER_CONNECTION_H
#define BROKER_CONNECTION_H

#include "broker-lite/key-ring.h"
#include "broker-lite/session-list.h"
#include "common/http-server.h"
#include "common/log-limit.h"

struct connection_tokens {
	struct key_ring *keys; /* owned */
	long long life_s;
	const struct session_list *sessions;
	struct log_limit refusals;
};

/** Append a token that lets @user into @session. */
int connection_token_append(const struct connection_tokens *tokens, const struct session *session,
			    const char *user, struct buf *ret, struct error *err);

/** Who does @token let into the session @id? ERR_DENIED with the reason, for the log. */
int connection_token_check(const struct connection_tokens *tokens, const char *id,
			   const char *token, char **ret_user, struct error *err);

/** Answer the question of a host: a form in, XML out, status 200 in any case. */
void connection_serve_check(struct connection_tokens *tokens, struct http_request *request);

#endif
