#include "agent/token.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/text.h"

#define TOKEN_MAX_BYTES 4096

int token_key_load(struct token_key *ret, const char *path, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};

	if (file_read(path, TOKEN_KEY_BYTES, &text, err) == 0) {
		if (text.len != TOKEN_KEY_BYTES)
			return error_set(err, ERR_INVALID, "%s: not a key of %d bytes", path,
					 TOKEN_KEY_BYTES);
		memcpy(ret->bytes, text.data, TOKEN_KEY_BYTES);
		return 0;
	}
	if (err->code != ERR_NOT_FOUND)
		return -1;
	if (RAND_bytes(ret->bytes, TOKEN_KEY_BYTES) != 1)
		return error_set(err, ERR_SYSTEM, "no random bytes for a key");
	return file_write_atomic(path, ret->bytes, TOKEN_KEY_BYTES, 0600, err);
}

/* Append the signature of what is in @text before its end. */
static int append_signature(const struct token_key *key, struct buf *text, size_t len,
			    struct error *err)
{
	unsigned char signature[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!HMAC(EVP_sha256(), key->bytes, TOKEN_KEY_BYTES, (const unsigned char *)text->data, len,
		  signature, &n))
		return error_set(err, ERR_SYSTEM, "cannot sign a token");
	if (buf_append_text(text, ".", err) < 0)
		return -1;
	return base64url_append(text, signature, n, err);
}

char *token_make(const struct token_key *key, const char *session_id, const char *user,
		 long long now_ms, struct error *err)
{
	json_auto_t *claims = json_pack("{s:s,s:s,s:I}", "sid", session_id, "sub", user, "exp",
					(json_int_t)(now_ms + TOKEN_LIFE_MS));
	AUTO(buf_done) struct buf payload = {0};
	struct buf token = {0};

	if (!claims) {
		(void)error_set(err, ERR_INVALID, "session or user is not UTF-8");
		return NULL;
	}
	if (json_append(&payload, claims, err) < 0 ||
	    base64url_append(&token, payload.data, payload.len, err) < 0 ||
	    append_signature(key, &token, token.len, err) < 0) {
		buf_done(&token);
		return NULL;
	}
	return buf_steal(&token);
}

/* The claims of a token whose signature is ours. */
static json_t *read_claims(const struct token_key *key, const char *token, struct error *err)
{
	const char *dot = strchr(token, '.');
	AUTO(buf_done) struct buf expected = {0}, payload = {0};
	json_t *claims = NULL;

	if (!dot || strlen(token) > TOKEN_MAX_BYTES) {
		(void)error_set(err, ERR_UNAUTHORIZED, "not a token of this host");
		return NULL;
	}
	if (buf_append(&expected, token, (size_t)(dot - token), err) < 0 ||
	    append_signature(key, &expected, expected.len, err) < 0)
		return NULL;
	if (strlen(token) != expected.len || CRYPTO_memcmp(token, expected.data, expected.len)) {
		(void)error_set(err, ERR_UNAUTHORIZED, "the signature is not ours");
		return NULL;
	}
	expected.data[dot - token] = '\0';
	if (base64_decode(expected.data, &payload, err) < 0 ||
	    json_parse(payload.data, payload.len, &claims, err) < 0)
		return NULL;
	return claims;
}

char *token_check(const struct token_key *key, const char *token, const char *session_id,
		  long long now_ms, struct error *err)
{
	json_auto_t *claims = read_claims(key, token, err);
	const char *id, *user;

	if (!claims)
		return NULL;
	id = json_get_text(claims, "sid");
	user = json_get_text(claims, "sub");
	if (!id || !user || strcmp(id, session_id) != 0) {
		(void)error_set(err, ERR_UNAUTHORIZED, "the token is for another session");
		return NULL;
	}
	if (json_integer_value(json_object_get(claims, "exp")) <= now_ms) {
		(void)error_set(err, ERR_UNAUTHORIZED, "the token has expired");
		return NULL;
	}
	return strdup(user);
}
