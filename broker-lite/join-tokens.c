#include "broker-lite/join-tokens.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/link-protocol.h"
#include "common/log.h"
#include "common/text.h"

#define MINUTE_MS 60000

struct join_token {
	struct list link; /* join_tokens::tokens */
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char id[2 * SHA256_DIGEST_LENGTH + 1]; /* of the record: the hash */
	long long expires_ms;
};

static const struct http_header no_store[] = {{"Cache-Control", "no-store"}, {NULL, NULL}};

void join_tokens_init(struct join_tokens *tokens, struct store *store)
{
	*tokens = (struct join_tokens){.store = store};
	list_init(&tokens->tokens);
}

static void forget(struct join_tokens *tokens, struct join_token *token)
{
	list_remove(&token->link);
	tokens->n--;
	free(token);
}

void join_tokens_done(struct join_tokens *tokens)
{
	if (!tokens->tokens.next) /* never begun */
		return;
	list_for_each_safe (token, &tokens->tokens, struct join_token, link)
		forget(tokens, token);
}

static struct join_token *add(struct join_tokens *tokens, const unsigned char *hash,
			      long long expires_ms, struct error *err)
{
	struct join_token *token = calloc(1, sizeof(*token));

	if (!token) {
		(void)error_oom(err);
		return NULL;
	}
	memcpy(token->hash, hash, sizeof(token->hash));
	token->expires_ms = expires_ms;
	for (size_t i = 0; i < sizeof(token->hash); i++)
		(void)snprintf(token->id + 2 * i, 3, "%02x", hash[i]);
	list_append(&tokens->tokens, &token->link);
	tokens->n++;
	return token;
}

/* --- the store ---------------------------------------------------------------------------------
 */

static int load_token(const char *id, const char *text, void *userdata, struct error *err)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	json_auto_t *record = NULL;
	json_int_t expires_ms;

	if (json_parse(text, strlen(text), &record, err) < 0)
		return error_prefix(err, "join token");
	expires_ms = json_integer_value(json_object_get(record, "expires"));
	if (strlen(id) != 2 * sizeof(hash))
		return error_set(err, ERR_INVALID, "join token: the record is damaged");
	for (size_t i = 0; i < sizeof(hash); i++) {
		int high = hex_digit(id[2 * i]), low = hex_digit(id[2 * i + 1]);

		if (high < 0 || low < 0)
			return error_set(err, ERR_INVALID, "join token: the record is damaged");
		hash[i] = (unsigned char)(high << 4 | low);
	}
	return add(userdata, hash, expires_ms, err) ? 0 : -1;
}

/* What has expired is as good as gone; that it is still in the store harms nobody. */
static void drop_expired(struct join_tokens *tokens)
{
	long long now_ms = time_now_ms();
	struct error ignored;

	list_for_each_safe (token, &tokens->tokens, struct join_token, link) {
		if (token->expires_ms > now_ms)
			continue;
		(void)store_remove(tokens->store, STORE_JOIN_TOKEN, token->id, NULL, NULL,
				   &ignored);
		forget(tokens, token);
	}
}

int join_tokens_load(struct join_tokens *tokens, struct error *err)
{
	return store_load(tokens->store, STORE_JOIN_TOKEN, load_token, tokens, err);
}

/* --- making ------------------------------------------------------------------------------------
 */

static int append_token(struct buf *ret, const unsigned char *fingerprint,
			const unsigned char *secret, struct error *err)
{
	if (buf_append_text(ret, JOIN_TOKEN_VERSION ".", err) < 0 ||
	    base64url_append(ret, fingerprint, 32, err) < 0 || buf_append_text(ret, ".", err) < 0)
		return -1;
	return base64url_append(ret, secret, JOIN_SECRET_BYTES, err);
}

int join_tokens_make(struct join_tokens *tokens, const unsigned char fingerprint[32], int minutes,
		     struct buf *ret, store_done_fn done, void *userdata, struct error *err)
{
	unsigned char secret[JOIN_SECRET_BYTES], hash[SHA256_DIGEST_LENGTH];
	struct buf record = {0};
	struct join_token *token;
	int result;

	drop_expired(tokens);
	if (tokens->n >= JOIN_TOKENS_MAX)
		return error_set(err, ERR_LIMIT, "%d join tokens have not been used yet",
				 JOIN_TOKENS_MAX);
	if (RAND_priv_bytes(secret, sizeof(secret)) != 1)
		return error_set(err, ERR_SYSTEM, "no random numbers");
	(void)SHA256(secret, sizeof(secret), hash);
	result = append_token(ret, fingerprint, secret, err);
	OPENSSL_cleanse(secret, sizeof(secret));
	token = result == 0 ? add(tokens, hash, time_now_ms() + (long long)minutes * MINUTE_MS, err)
			    : NULL;
	if (!token)
		return -1;
	if (buf_printf(&record, err, "{\"expires\":%lld}", token->expires_ms) == 0 &&
	    store_put(tokens->store, STORE_JOIN_TOKEN, token->id, &record, done, userdata, err) ==
		    0)
		return 0;
	forget(tokens, token);
	return -1;
}

/* --- using -------------------------------------------------------------------------------------
 */

static long long monotonic_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static struct join_failures *failures_of(struct join_tokens *tokens, const char *address)
{
	for (size_t i = 0; i < JOIN_ADDRESSES; i++) {
		struct join_failures *f = &tokens->failures[i];

		if (f->n > 0 && monotonic_ms() - f->since_ms >= MINUTE_MS)
			f->n = 0;
		if (f->n > 0 && strcmp(f->address, address) == 0)
			return f;
	}
	return NULL;
}

static void count_failure(struct join_tokens *tokens, const char *address)
{
	struct join_failures *f = failures_of(tokens, address);

	if (!f) {
		f = &tokens->failures[tokens->next_failures++ % JOIN_ADDRESSES];
		*f = (struct join_failures){.since_ms = monotonic_ms()};
		(void)snprintf(f->address, sizeof(f->address), "%s", address);
	}
	f->n++;
}

/* All are compared, and each as a whole: the time that takes tells nothing. */
static struct join_token *find(struct join_tokens *tokens, const json_t *body)
{
	const char *text = json_get_text(body, "secret");
	AUTO(buf_done) struct buf secret = {0};
	unsigned char hash[SHA256_DIGEST_LENGTH];
	struct join_token *found = NULL;
	struct error ignored;

	if (!text || base64_decode(text, &secret, &ignored) < 0 || secret.len != JOIN_SECRET_BYTES)
		return NULL;
	(void)SHA256((const unsigned char *)secret.data, secret.len, hash);
	OPENSSL_cleanse(secret.data, secret.len);
	list_for_each (token, &tokens->tokens, struct join_token, link) {
		if (CRYPTO_memcmp(token->hash, hash, sizeof(hash)) == 0)
			found = token;
	}
	return found;
}

struct join {
	struct http_request *request;
	struct buf body;
};

/* Only what can come back by no crash has been used up. */
static void on_removed(const struct error *err, void *userdata)
{
	struct join *join = userdata;

	if (err) {
		http_reply_error(join->request, err, no_store);
		buf_done(&join->body);
	} else {
		log_info("a host has joined (peer=%s)", join->request->peer_address);
		http_reply(join->request, 200, "application/json", &join->body, no_store);
	}
	free(join);
}

static void hand_out(struct join_tokens *tokens, struct join_token *token, const char *authority,
		     const char *statement, struct http_request *request)
{
	json_auto_t *reply =
		json_pack("{s:s,s:s}", "authority", authority, "software_statement", statement);
	struct join *join = calloc(1, sizeof(*join));
	struct error err;

	if (!join) {
		(void)error_oom(&err);
		http_reply_error(request, &err, no_store);
		return;
	}
	join->request = request;
	if (json_append(&join->body, reply, &err) < 0 ||
	    store_remove(tokens->store, STORE_JOIN_TOKEN, token->id, on_removed, join, &err) < 0) {
		on_removed(&err, join);
		return;
	}
	forget(tokens, token);
}

static void refuse(struct join_tokens *tokens, struct http_request *request)
{
	struct error err;

	count_failure(tokens, request->peer_address);
	log_warning(
		"a host may not join: its token is not known, was used or has expired (peer=%s)",
		request->peer_address);
	(void)error_set(&err, ERR_DENIED, "the join token is not known, was used or has expired");
	http_reply_error(request, &err, no_store);
}

void join_tokens_serve(struct join_tokens *tokens, const char *authority, const char *statement,
		       struct http_request *request)
{
	static const struct http_header later[] = {{"Retry-After", "60"}, {NULL, NULL}};
	const struct join_failures *failures = failures_of(tokens, request->peer_address);
	const char *text = request->body.data ? request->body.data : "";
	struct join_token *token = NULL;
	json_auto_t *body = NULL;
	struct error err;

	if (failures && failures->n >= JOIN_FAILURES_MAX) {
		(void)error_set(&err, ERR_LIMIT, "too many wrong join tokens");
		http_reply_error(request, &err, later);
		return;
	}
	drop_expired(tokens);
	if (json_parse(text, request->body.len, &body, &err) == 0)
		token = find(tokens, body);
	if (!token) {
		refuse(tokens, request);
	} else if (!statement) {
		(void)error_set(&err, ERR_CONFLICT,
				"there is no active software statement: make one with "
				"generate-software-statement");
		http_reply_error(request, &err, no_store);
	} else {
		hand_out(tokens, token, authority, statement, request);
	}
}
