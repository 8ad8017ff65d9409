/**
 * Signed tokens: JWTs in their compact form, read, verified and signed.
 *
 * What a token says of itself is looked at before its signature: the algorithm is one of nine, each for
 * one kind of key, and nothing that the token brings along (a key, an address of keys) is ever used.
 * Sources: RFC 7515, 7517, 7518, 7519, 8725.
 */
#ifndef BROKER_TOKEN_H
#define BROKER_TOKEN_H

#include <cjose/cjose.h>
#include <jansson.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"

#define TOKEN_MAX_BYTES 16384    /* of others; a head of a request has no room for more */
#define OWN_TOKEN_MAX_BYTES 2048 /* of ours */
#define TOKEN_SKEW_S 60

/* --- algorithms --- */

#define N_TOKEN_ALGORITHMS 9

struct token_algorithm {
	const char *name; /* "RS256" */
	cjose_jwk_kty_t key_type;
	cjose_jwk_ec_curve curve; /* of an EC key */
	size_t signature_bytes;   /* with an EC key; 0: as many as the key has */
	bool is_default;          /* what a key of this type is for, if nothing else is said */
};

/** NULL: none of the nine. */
const struct token_algorithm *token_algorithm_find(const char *name);

/** Can @key be used with it? */
bool token_algorithm_fits(const struct token_algorithm *algorithm, const cjose_jwk_t *key);

/* --- keys of ours --- */

struct token_key;

/** A new key pair with a new id, for @algorithm: "ES256" or "RS256", which takes a second. */
int token_key_make(struct token_key **ret, const char *algorithm, struct error *err);

/** A key pair, or only its public part, from the text of token_key_write(). */
int token_key_read(struct token_key **ret, const char *text, struct error *err);

/** Append the key as a JWK. */
int token_key_write(const struct token_key *key, bool with_private, struct buf *ret,
		    struct error *err);

void token_key_free(struct token_key *key);

const char *token_key_id(const struct token_key *key);
const char *token_key_algorithm(const struct token_key *key);

/**
 * Append a token with @claims, to which "aud", "iat", "exp" (@life_s from now) and "jti" are added.
 */
int token_sign(const struct token_key *key, json_t *claims, const char *audience, long long life_s,
	       struct buf *ret, struct error *err);

/* --- tokens --- */

/** A token that was read; whether it is genuine is not known yet. */
struct token {
	const char *text; /* borrowed */
	cjose_jws_t *jws;
	const struct token_algorithm *algorithm;
	const char *key_id;      /* NULL: it names none */
	json_t *header, *claims; /* objects */
};

/** Does @text have the form of a token, and no more than @max_bytes? */
bool token_has_form(const char *text, size_t max_bytes);

/**
 * Read @text, which must outlive the token. ERR_UNAUTHORIZED with the reason, which is for the log
 * alone; so in all that follows. End with token_done() if it succeeds.
 */
int token_read(struct token *ret, const char *text, size_t max_bytes, struct error *err);
void token_done(struct token *token);

/** Was it signed by the owner of @key, whose type fits the token's algorithm? */
int token_check_signature(const struct token *token, const cjose_jwk_t *key, struct error *err);

/** The same with a key of ours, which must have the id that the token names. */
int token_check_own(const struct token *token, const struct token_key *key, struct error *err);

#endif
