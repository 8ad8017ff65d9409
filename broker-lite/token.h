/**
 * Signed tokens: JWTs by a key of ours, ES256.
 *
 * A key serves one purpose, and the "aud" claim says which kind of token it is, so that none is
 * taken for another. Sources: RFC 7515, 7517, 7519.
 */
#ifndef BROKER_TOKEN_H
#define BROKER_TOKEN_H

#include <jansson.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"

#define TOKEN_MAX_BYTES 2048
#define TOKEN_SKEW_S 60

struct token_key;

/** A new key pair with a new id. */
int token_key_make(struct token_key **ret, struct error *err);

/** A key pair from the text of token_key_write(). */
int token_key_read(struct token_key **ret, const char *text, struct error *err);

/** Append the key pair, private part included, as a JWK. */
int token_key_write(const struct token_key *key, struct buf *ret, struct error *err);

void token_key_free(struct token_key *key);

/** Does @text have the form of a token, and no more than TOKEN_MAX_BYTES? */
bool token_has_form(const char *text);

/**
 * Append a token with @claims, to which "aud", "iat", "exp" (@life_s from now) and "jti" are added.
 */
int token_sign(const struct token_key *key, json_t *claims, const char *audience, long long life_s,
	       struct buf *ret, struct error *err);

/**
 * The claims of @token if @key signed it for @audience and its time has come and not passed.
 * ERR_UNAUTHORIZED with the reason, which is for the log alone.
 */
int token_verify(const struct token_key *key, const char *token, const char *audience,
		 json_t **ret_claims, struct error *err);

#endif
