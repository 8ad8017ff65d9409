/**
 * The public keys of an authorization server: a JSON Web Key Set, read once and kept ready for use.
 * Sources: RFC 7517; the administrator reference, "Verification rules".
 */
#ifndef BROKER_KEY_SET_H
#define BROKER_KEY_SET_H

#include <stddef.h>

#include "broker-lite/token.h"

#define KEY_SET_MAX_BYTES (256 * 1024)
#define KEY_SET_MAX_KEYS 100

struct key_set;

/**
 * Read a document. Keys that cannot or may not be used (of other kinds, for encryption, RSA with less
 * than 2048 bits) are left out. ERR_INVALID: it is no key set, or has too many keys.
 */
int key_set_read(struct key_set **ret, const char *text, size_t len, struct error *err);
void key_set_free(struct key_set *set);

/** Keys that can be used. */
size_t key_set_size(const struct key_set *set);

/**
 * The key for @token: the one that it names, or without a name the only one that fits. @allowed: the
 * algorithms that may be used, as names with commas between them; NULL: what the key itself says, or
 * else the usual one for its type. ERR_NOT_FOUND: none of that name, a newer set may have it;
 * ERR_UNAUTHORIZED: none fits.
 */
int key_set_find(const struct key_set *set, const struct token *token, const char *allowed,
		 const cjose_jwk_t **ret, struct error *err);

#endif
