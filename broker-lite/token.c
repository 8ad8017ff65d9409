#include "broker-lite/token.h"

#include <cjose/cjose.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"

#define ALGORITHM "ES256"

struct token_key {
	cjose_jwk_t *jwk;
};

static void header_p(cjose_header_t **header)
{
	if (*header)
		cjose_header_release(*header);
}

static void jws_p(cjose_jws_t **jws)
{
	if (*jws)
		cjose_jws_release(*jws);
}

static int key_new(struct token_key **ret, cjose_jwk_t *jwk, struct error *err)
{
	struct token_key *key = calloc(1, sizeof(*key));

	if (!key) {
		(void)cjose_jwk_release(jwk);
		return error_oom(err);
	}
	key->jwk = jwk;
	*ret = key;
	return 0;
}

int token_key_make(struct token_key **ret, struct error *err)
{
	cjose_err problem;
	char id[UUID_SIZE];
	cjose_jwk_t *jwk = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &problem);

	if (!jwk)
		return error_set(err, ERR_SYSTEM, "make a key: %s", problem.message);
	uuid_make(id);
	if (!cjose_jwk_set_kid(jwk, id, UUID_SIZE - 1, &problem)) {
		(void)cjose_jwk_release(jwk);
		return error_set(err, ERR_SYSTEM, "make a key: %s", problem.message);
	}
	return key_new(ret, jwk, err);
}

int token_key_read(struct token_key **ret, const char *text, struct error *err)
{
	cjose_err problem;
	cjose_jwk_t *jwk = cjose_jwk_import(text, strlen(text), &problem);

	if (!jwk)
		return error_set(err, ERR_INVALID, "not a key: %s", problem.message);
	if (cjose_jwk_get_kty(jwk, &problem) != CJOSE_JWK_KTY_EC ||
	    !cjose_jwk_get_kid(jwk, &problem)) {
		(void)cjose_jwk_release(jwk);
		return error_set(err, ERR_INVALID, "not an EC key with an id");
	}
	return key_new(ret, jwk, err);
}

int token_key_write(const struct token_key *key, struct buf *ret, struct error *err)
{
	cjose_err problem;
	AUTO(free_p) char *text = cjose_jwk_to_json(key->jwk, true, &problem);

	if (!text)
		return error_set(err, ERR_SYSTEM, "write a key: %s", problem.message);
	return buf_append_text(ret, text, err);
}

void token_key_free(struct token_key *key)
{
	if (!key)
		return;
	(void)cjose_jwk_release(key->jwk);
	free(key);
}

bool token_has_form(const char *text)
{
	size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789-_.");
	int n_dots = 0;

	if (text[len] || len > TOKEN_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; i++)
		n_dots += text[i] == '.';
	return n_dots == 2 && text[0] != '.' && text[len - 1] != '.' && !strstr(text, "..");
}

static cjose_header_t *make_header(const struct token_key *key, cjose_err *problem)
{
	cjose_header_t *header = cjose_header_new(problem);

	if (!header || !cjose_header_set(header, CJOSE_HDR_ALG, ALGORITHM, problem) ||
	    !cjose_header_set(header, CJOSE_HDR_KID, cjose_jwk_get_kid(key->jwk, problem),
			      problem) ||
	    !cjose_header_set(header, "typ", "JWT", problem)) {
		header_p(&header);
		return NULL;
	}
	return header;
}

int token_sign(const struct token_key *key, json_t *claims, const char *audience, long long life_s,
	       struct buf *ret, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	AUTO(jws_p) cjose_jws_t *jws = NULL;
	AUTO(header_p) cjose_header_t *header = NULL;
	cjose_err problem = {0};
	const char *token = NULL;
	char id[UUID_SIZE];
	long long now = time_now_ms() / 1000;

	uuid_make(id);
	json_set_text(claims, "aud", audience);
	(void)json_object_set_new(claims, "iat", json_integer(now));
	(void)json_object_set_new(claims, "exp", json_integer(now + life_s));
	json_set_text(claims, "jti", id);
	if (json_append(&text, claims, err) < 0)
		return -1;
	header = make_header(key, &problem);
	if (header)
		jws = cjose_jws_sign(key->jwk, header, (const uint8_t *)text.data, text.len,
				     &problem);
	if (!jws || !cjose_jws_export(jws, &token, &problem))
		return error_set(err, ERR_SYSTEM, "sign a token: %s", problem.message);
	return buf_append_text(ret, token, err);
}

/* The library skips what is left over of a signature, and other texts would then be good as well. */
static bool is_signature_canonical(const char *token)
{
	const char *signature = strrchr(token, '.') + 1;
	AUTO(buf_done) struct buf bytes = {0};
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	return base64_decode(signature, &bytes, &err) == 0 &&
	       base64url_append(&text, bytes.data, bytes.len, &err) == 0 && text.len > 0 &&
	       strcmp(text.data, signature) == 0;
}

static int verify_signature(const struct token_key *key, const char *token, json_t **ret_claims,
			    struct error *err)
{
	cjose_err problem = {0};
	AUTO(jws_p) cjose_jws_t *jws = cjose_jws_import(token, strlen(token), &problem);
	cjose_header_t *header;
	const char *algorithm, *id, *own_id = cjose_jwk_get_kid(key->jwk, &problem);
	uint8_t *text = NULL;
	size_t len = 0;

	if (!jws)
		return error_set(err, ERR_UNAUTHORIZED, "not a token");
	header = cjose_jws_get_protected(jws);
	algorithm = cjose_header_get(header, CJOSE_HDR_ALG, &problem);
	id = cjose_header_get(header, CJOSE_HDR_KID, &problem);
	/* Before the signature is looked at: what we did not sign that way is not ours. */
	if (!algorithm || strcmp(algorithm, ALGORITHM) != 0)
		return error_set(err, ERR_UNAUTHORIZED, "another algorithm");
	if (!id || strcmp(id, own_id) != 0)
		return error_set(err, ERR_UNAUTHORIZED, "unknown key");
	if (!is_signature_canonical(token) || !cjose_jws_verify(jws, key->jwk, &problem) ||
	    !cjose_jws_get_plaintext(jws, &text, &len, &problem))
		return error_set(err, ERR_UNAUTHORIZED, "bad signature");
	return json_parse((const char *)text, len, ret_claims, err);
}

int token_verify(const struct token_key *key, const char *token, const char *audience,
		 json_t **ret_claims, struct error *err)
{
	json_auto_t *claims = NULL;
	const char *found;
	const json_t *expiry, *issued;
	long long now = time_now_ms() / 1000;

	if (!token_has_form(token))
		return error_set(err, ERR_UNAUTHORIZED, "not a token");
	if (verify_signature(key, token, &claims, err) < 0)
		return -1;
	found = json_get_text(claims, "aud");
	expiry = json_object_get(claims, "exp");
	issued = json_object_get(claims, "iat");
	if (!found || strcmp(found, audience) != 0)
		return error_set(err, ERR_UNAUTHORIZED, "another kind of token");
	if (!json_is_integer(expiry) || json_integer_value(expiry) + TOKEN_SKEW_S < now)
		return error_set(err, ERR_UNAUTHORIZED, "expired");
	if (!json_is_integer(issued) || json_integer_value(issued) - TOKEN_SKEW_S > now)
		return error_set(err, ERR_UNAUTHORIZED, "not yet valid");
	*ret_claims = TAKE(claims);
	return 0;
}
