/**
 * Connection tokens of a host that works without a broker: who may connect to which session, until
 * when, under a key that never leaves this host. Only [A-Za-z0-9._-], because callers paste them
 * into addresses.
 */
#ifndef AGENT_TOKEN_H
#define AGENT_TOKEN_H

#include "common/error.h"

#define TOKEN_KEY_BYTES 32
#define TOKEN_LIFE_MS (60LL * 60 * 1000)

struct token_key {
	unsigned char bytes[TOKEN_KEY_BYTES];
};

/** Read the key from @path, or make it there (0600). */
int token_key_load(struct token_key *ret, const char *path, struct error *err);

/** A new token; free() it. NULL with @err. Valid for TOKEN_LIFE_MS from @now_ms. */
char *token_make(const struct token_key *key, const char *session_id, const char *user,
		 long long now_ms, struct error *err);

/**
 * The user that @token admits to @session_id; free() it. NULL with ERR_UNAUTHORIZED; the sentence
 * is for the log, not for the stranger.
 */
char *token_check(const struct token_key *key, const char *token, const char *session_id,
		  long long now_ms, struct error *err);

#endif
