#include "broker-lite/key-ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/claims.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

struct replaced_key {
	struct token_key *key;
	long long until_s; /* it verifies no longer than that */
};

struct key_ring {
	struct store *store;
	char *name;
	const char *algorithm;
	long long life_s;
	struct token_key *current;
	struct replaced_key replaced[KEY_RING_MAX_REPLACED]; /* the oldest first */
	size_t n_replaced;
	unsigned n_revocations;
};

static long long now_s(void)
{
	return time_now_ms() / 1000;
}

static char *record_id(const struct key_ring *ring, const struct token_key *key, struct error *err)
{
	char *id = NULL;

	if (asprintf(&id, "%s/%s", ring->name, token_key_id(key)) < 0) {
		(void)error_oom(err);
		return NULL;
	}
	return id;
}

/* --- replaced keys -----------------------------------------------------------------------------
 */

static void drop_replaced(struct key_ring *ring, size_t i)
{
	struct error err;
	AUTO(free_p) char *id = record_id(ring, ring->replaced[i].key, &err);

	if (ring->store && (!id || store_remove(ring->store, STORE_KEY, id, NULL, NULL, &err) < 0))
		log_warning("a key that is not needed any more stays in the store: %s",
			    err.message);
	token_key_free(ring->replaced[i].key);
	memmove(&ring->replaced[i], &ring->replaced[i + 1],
		(--ring->n_replaced - i) * sizeof(ring->replaced[0]));
}

static void drop_expired(struct key_ring *ring)
{
	for (size_t i = ring->n_replaced; i-- > 0;) {
		if (ring->replaced[i].until_s < now_s())
			drop_replaced(ring, i);
	}
}

static void add_replaced(struct key_ring *ring, struct token_key *key, long long until_s)
{
	size_t at;

	if (ring->n_replaced == KEY_RING_MAX_REPLACED)
		drop_replaced(ring, 0);
	for (at = ring->n_replaced; at > 0 && ring->replaced[at - 1].until_s > until_s; at--)
		ring->replaced[at] = ring->replaced[at - 1];
	ring->replaced[at] = (struct replaced_key){key, until_s};
	ring->n_replaced++;
}

/* --- the store ---------------------------------------------------------------------------------
 */

static int load_replaced(struct key_ring *ring, const char *text, struct error *err)
{
	json_auto_t *record = NULL;
	AUTO(buf_done) struct buf jwk = {0};
	const json_t *until;
	struct token_key *key;

	if (json_parse(text, strlen(text), &record, err) < 0)
		return -1;
	until = json_object_get(record, "until");
	if (!json_is_integer(until))
		return error_set(err, ERR_INVALID, "the record is damaged");
	if (json_append(&jwk, json_object_get(record, "key"), err) < 0 ||
	    token_key_read(&key, jwk.data, err) < 0)
		return -1;
	add_replaced(ring, key, json_integer_value(until));
	return 0;
}

static int load_record(const char *id, const char *text, void *userdata, struct error *err)
{
	struct key_ring *ring = userdata;
	size_t len = strlen(ring->name);
	int result = 0;

	if (strcmp(id, ring->name) == 0)
		result = token_key_read(&ring->current, text, err);
	else if (strncmp(id, ring->name, len) == 0 && id[len] == '/')
		result = load_replaced(ring, text, err);
	return result < 0 ? error_prefix(err, "key %s", id) : 0;
}

/* What a crash in the middle of a renewal left: the key was not replaced after all. */
static void forget_half_renewal(struct key_ring *ring)
{
	for (size_t i = ring->n_replaced; i-- > 0;) {
		if (ring->current &&
		    strcmp(token_key_id(ring->replaced[i].key), token_key_id(ring->current)) == 0)
			drop_replaced(ring, i);
	}
}

static int store_replaced(struct key_ring *ring, long long until_s, struct error *err)
{
	AUTO(free_p) char *id = record_id(ring, ring->current, err);
	AUTO(buf_done) struct buf key = {0};
	struct buf text = {0};

	if (!id || token_key_write(ring->current, false, &key, err) < 0 ||
	    buf_printf(&text, err, "{\"key\":%s,\"until\":%lld}", key.data, until_s) < 0)
		return -1;
	return store_put(ring->store, STORE_KEY, id, &text, NULL, NULL, err);
}

static int store_current(const struct key_ring *ring, const struct token_key *key,
			 store_done_fn done, void *userdata, struct error *err)
{
	struct buf text = {0};

	if (token_key_write(key, true, &text, err) < 0)
		return -1;
	return store_put(ring->store, STORE_KEY, ring->name, &text, done, userdata, err);
}

/* --- the ring ----------------------------------------------------------------------------------
 */

static void key_ring_p(struct key_ring **ring)
{
	key_ring_free(*ring);
}

void key_ring_free(struct key_ring *ring)
{
	if (!ring)
		return;
	for (size_t i = 0; i < ring->n_replaced; i++)
		token_key_free(ring->replaced[i].key);
	token_key_free(ring->current);
	free(ring->name);
	free(ring);
}

static void replace(struct key_ring *ring, struct token_key *key)
{
	if (ring->current)
		add_replaced(ring, ring->current, now_s() + ring->life_s + TOKEN_SKEW_S);
	ring->current = key;
}

/* The first key, or one in the place of a key for another algorithm. */
static int make_current(struct key_ring *ring, struct error *err)
{
	struct token_key *key = NULL;

	if (token_key_make(&key, ring->algorithm, err) < 0)
		return -1;
	if (ring->store &&
	    ((ring->current &&
	      store_replaced(ring, now_s() + ring->life_s + TOKEN_SKEW_S, err) < 0) ||
	     store_current(ring, key, NULL, NULL, err) < 0 || store_flush(ring->store, err) < 0)) {
		token_key_free(key);
		return -1;
	}
	replace(ring, key);
	return 0;
}

int key_ring_open(struct key_ring **ret, struct store *store, const char *name,
		  const char *algorithm, long long life_s, struct error *err)
{
	AUTO(key_ring_p) struct key_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return error_oom(err);
	ring->store = store;
	ring->algorithm = algorithm;
	ring->life_s = life_s;
	ring->name = strdup(name);
	if (!ring->name)
		return error_oom(err);
	if (store && store_load(store, STORE_KEY, load_record, ring, err) < 0)
		return -1;
	forget_half_renewal(ring);
	drop_expired(ring);
	if ((!ring->current || strcmp(token_key_algorithm(ring->current), algorithm) != 0) &&
	    make_current(ring, err) < 0)
		return -1;
	*ret = TAKE(ring);
	return 0;
}

unsigned key_ring_n_revocations(const struct key_ring *ring)
{
	return ring->n_revocations;
}

/* --- renewal -----------------------------------------------------------------------------------
 */

struct renewal {
	struct key_ring *ring;
	struct token_key *key;
	bool revoke_old;
	store_done_fn done;
	void *userdata;
};

static void revoke_replaced(struct key_ring *ring)
{
	while (ring->n_replaced > 0)
		drop_replaced(ring, ring->n_replaced - 1);
	ring->n_revocations++;
}

static void on_stored(const struct error *err, void *userdata)
{
	AUTO(free_p) struct renewal *renewal = userdata;
	struct key_ring *ring = renewal->ring;

	if (err) {
		token_key_free(renewal->key);
	} else {
		replace(ring, renewal->key);
		if (renewal->revoke_old)
			revoke_replaced(ring); /* the one that signed until now */
		log_info("keys renewed (ring=%s, id=%s, revoked=%d)", ring->name,
			 token_key_id(ring->current), renewal->revoke_old);
	}
	renewal->done(err, renewal->userdata);
}

int key_ring_renew(struct key_ring *ring, bool revoke_old, char ret_id[UUID_SIZE],
		   store_done_fn done, void *userdata, struct error *err)
{
	AUTO(free_p) struct renewal *renewal = malloc(sizeof(*renewal));

	if (!renewal)
		return error_oom(err);
	*renewal = (struct renewal){ring, NULL, revoke_old, done, userdata};
	drop_expired(ring);
	if (token_key_make(&renewal->key, ring->algorithm, err) < 0)
		return -1;
	/* Changes are committed in their order: when the new key is there, the old ones are gone. */
	if (revoke_old)
		revoke_replaced(ring);
	if ((!revoke_old && store_replaced(ring, now_s() + ring->life_s + TOKEN_SKEW_S, err) < 0) ||
	    store_current(ring, renewal->key, on_stored, renewal, err) < 0) {
		token_key_free(renewal->key);
		return -1;
	}
	memcpy(ret_id, token_key_id(renewal->key), UUID_SIZE);
	(void)TAKE(renewal);
	return 0;
}

/* --- tokens ------------------------------------------------------------------------------------
 */

int key_ring_sign(const struct key_ring *ring, json_t *claims, const char *audience,
		  long long life_s, struct buf *ret, struct error *err)
{
	return token_sign(ring->current, claims, audience,
			  life_s < ring->life_s ? life_s : ring->life_s, ret, err);
}

static const struct token_key *find_key(struct key_ring *ring, const struct token *token)
{
	if (!token->key_id)
		return NULL;
	if (strcmp(token_key_id(ring->current), token->key_id) == 0)
		return ring->current;
	drop_expired(ring);
	for (size_t i = 0; i < ring->n_replaced; i++) {
		if (strcmp(token_key_id(ring->replaced[i].key), token->key_id) == 0)
			return ring->replaced[i].key;
	}
	return NULL;
}

bool key_ring_knows(struct key_ring *ring, const struct token *token)
{
	return find_key(ring, token) != NULL;
}

int key_ring_check(struct key_ring *ring, const struct token *token, const char *audience,
		   long long *ret_expires_s, struct error *err)
{
	const struct token_key *key = find_key(ring, token);
	const char *found;

	if (!key)
		return error_set(err, ERR_UNAUTHORIZED, "unknown key");
	if (token_check_own(token, key, err) < 0)
		return -1;
	found = json_get_text(token->claims, "aud");
	if (!found || strcmp(found, audience) != 0)
		return error_set(err, ERR_UNAUTHORIZED, "another kind of token");
	return claims_check_times(token->claims, now_s(), ret_expires_s, err);
}

int key_ring_verify(struct key_ring *ring, const char *text, const char *audience,
		    json_t **ret_claims, struct error *err)
{
	struct token token;
	long long expires_s;
	int result;

	if (token_read(&token, text, OWN_TOKEN_MAX_BYTES, err) < 0)
		return -1;
	result = key_ring_check(ring, &token, audience, &expires_s, err);
	if (result == 0)
		*ret_claims = json_incref(token.claims);
	token_done(&token);
	return result;
}
