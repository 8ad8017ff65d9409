/**
 * The keys of ours for one purpose: the one that signs, and those before it whose tokens still count.
 *
 * A key that was replaced verifies until the longest token made with it has expired; only its public
 * part is kept for that. In the store the present key has the ring's name as its id, a replaced one the
 * name, '/' and its own id.
 */
#ifndef BROKER_KEY_RING_H
#define BROKER_KEY_RING_H

#include "broker-lite/store.h"
#include "broker-lite/token.h"
#include "common/text.h"

#define KEY_RING_MAX_REPLACED 16 /* the oldest goes */

struct key_ring;

/**
 * The ring @name: from @store, with a new key if there is none or none for @algorithm; or, if @store is
 * NULL, a new one that is kept in memory alone. @life_s: of the longest token that it will sign. Blocks.
 */
int key_ring_open(struct key_ring **ret, struct store *store, const char *name,
		  const char *algorithm, long long life_s, struct error *err);

/** Takes NULL. */
void key_ring_free(struct key_ring *ring);

/**
 * Sign with a new key, of the id @ret_id, from now on. @revoke_old: what others have signed counts no
 * more. @done, as for store_put(), comes when it is so.
 */
int key_ring_renew(struct key_ring *ring, bool revoke_old, char ret_id[UUID_SIZE],
		   store_done_fn done, void *userdata, struct error *err);

/** It grows when keys are revoked: what was verified before has to be verified again. */
unsigned key_ring_n_revocations(const struct key_ring *ring);

/** token_sign() with the present key, for no longer than the ring's life. */
int key_ring_sign(const struct key_ring *ring, json_t *claims, const char *audience,
		  long long life_s, struct buf *ret, struct error *err);

/** Has it a key that @token names? */
bool key_ring_knows(struct key_ring *ring, const struct token *token);

/**
 * Did a key of the ring sign @token for @audience, and has its time come and not passed?
 * ERR_UNAUTHORIZED with the reason, which is for the log alone.
 */
int key_ring_check(struct key_ring *ring, const struct token *token, const char *audience,
		   long long *ret_expires_s, struct error *err);

/** token_read() and key_ring_check(); json_decref(*ret_claims). */
int key_ring_verify(struct key_ring *ring, const char *text, const char *audience,
		    json_t **ret_claims, struct error *err);

#endif
