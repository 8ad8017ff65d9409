#include "broker-lite/token.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"

#define RSA_BITS 2048

/* --- algorithms --------------------------------------------------------------------------------
 */

#define RSA_ALGORITHM(name, is_default)                                                            \
	{                                                                                          \
		name, CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID, 0, is_default                       \
	}
#define EC_ALGORITHM(name, curve, bytes)                                                           \
	{                                                                                          \
		name, CJOSE_JWK_KTY_EC, curve, 2 * (bytes), true                                   \
	}

static const struct token_algorithm algorithms[N_TOKEN_ALGORITHMS] = {
	RSA_ALGORITHM("RS256", true),
	RSA_ALGORITHM("RS384", false),
	RSA_ALGORITHM("RS512", false),
	RSA_ALGORITHM("PS256", false),
	RSA_ALGORITHM("PS384", false),
	RSA_ALGORITHM("PS512", false),
	EC_ALGORITHM("ES256", CJOSE_JWK_EC_P_256, 32),
	EC_ALGORITHM("ES384", CJOSE_JWK_EC_P_384, 48),
	EC_ALGORITHM("ES512", CJOSE_JWK_EC_P_521, 66),
};

const struct token_algorithm *token_algorithm_find(const char *name)
{
	for (size_t i = 0; i < N_TOKEN_ALGORITHMS; i++) {
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	}
	return NULL;
}

bool token_algorithm_fits(const struct token_algorithm *algorithm, const cjose_jwk_t *key)
{
	cjose_err problem;

	if (cjose_jwk_get_kty(key, &problem) != algorithm->key_type)
		return false;
	return algorithm->key_type == CJOSE_JWK_KTY_RSA ||
	       cjose_jwk_EC_get_curve(key, &problem) == algorithm->curve;
}

/* --- keys of ours ------------------------------------------------------------------------------
 */

struct token_key {
	cjose_jwk_t *jwk;
	const struct token_algorithm *algorithm;
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

/* Takes @jwk in every case. */
static int key_new(struct token_key **ret, cjose_jwk_t *jwk, struct error *err)
{
	struct token_key *key = calloc(1, sizeof(*key));

	if (!key) {
		(void)cjose_jwk_release(jwk);
		return error_oom(err);
	}
	key->jwk = jwk;
	for (size_t i = 0; i < N_TOKEN_ALGORITHMS && !key->algorithm; i++) {
		if (algorithms[i].is_default && token_algorithm_fits(&algorithms[i], jwk))
			key->algorithm = &algorithms[i];
	}
	if (!key->algorithm) {
		token_key_free(key);
		return error_set(err, ERR_INVALID, "not a key that signs");
	}
	*ret = key;
	return 0;
}

int token_key_make(struct token_key **ret, const char *algorithm, struct error *err)
{
	static const uint8_t exponent[] = {1, 0, 1};
	cjose_err problem;
	char id[UUID_SIZE];
	cjose_jwk_t *jwk = strcmp(algorithm, "RS256") == 0
				   ? cjose_jwk_create_RSA_random(RSA_BITS, exponent,
								 sizeof(exponent), &problem)
				   : cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &problem);

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
	if (!cjose_jwk_get_kid(jwk, &problem)) {
		(void)cjose_jwk_release(jwk);
		return error_set(err, ERR_INVALID, "a key without an id");
	}
	return key_new(ret, jwk, err);
}

int token_key_write(const struct token_key *key, bool with_private, struct buf *ret,
		    struct error *err)
{
	cjose_err problem;
	AUTO(free_p) char *text = cjose_jwk_to_json(key->jwk, with_private, &problem);

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

const char *token_key_id(const struct token_key *key)
{
	cjose_err problem;

	return cjose_jwk_get_kid(key->jwk, &problem);
}

const char *token_key_algorithm(const struct token_key *key)
{
	return key->algorithm->name;
}

static cjose_header_t *make_header(const struct token_key *key, cjose_err *problem)
{
	cjose_header_t *header = cjose_header_new(problem);

	if (!header || !cjose_header_set(header, CJOSE_HDR_ALG, key->algorithm->name, problem) ||
	    !cjose_header_set(header, CJOSE_HDR_KID, token_key_id(key), problem) ||
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

/* --- tokens ------------------------------------------------------------------------------------
 */

bool token_has_form(const char *text, size_t max_bytes)
{
	size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789-_.");
	int n_dots = 0;

	if (text[len] || len > max_bytes)
		return false;
	for (size_t i = 0; i < len; i++)
		n_dots += text[i] == '.';
	return n_dots == 2 && text[0] != '.' && text[len - 1] != '.' && !strstr(text, "..");
}

/* The library skips what is left over of the text of a signature, splits one for an EC key in the middle
 * whatever its length, and does not mind zeros in front: other texts would then be good as well. */
static bool is_signature_canonical(const struct token *token, const cjose_jwk_t *key)
{
	const char *signature = strrchr(token->text, '.') + 1;
	AUTO(buf_done) struct buf bytes = {0};
	AUTO(buf_done) struct buf text = {0};
	size_t wanted = token->algorithm->signature_bytes;
	cjose_err problem;
	struct error err;

	if (wanted == 0)
		wanted = (cjose_jwk_get_keysize(key, &problem) + 7) / 8;
	return base64_decode(signature, &bytes, &err) == 0 && bytes.len == wanted &&
	       base64url_append(&text, bytes.data, bytes.len, &err) == 0 &&
	       strcmp(text.data, signature) == 0;
}

/* With a parser of our own: the library's takes the last of two members of one name, and tells nothing
 * about members that are no texts. */
static int parse_header(struct token *token, struct error *err)
{
	AUTO(free_p) char *encoded = strndup(token->text, strcspn(token->text, "."));
	AUTO(buf_done) struct buf text = {0};

	if (!encoded)
		return error_oom(err);
	if (base64_decode(encoded, &text, err) < 0 ||
	    json_parse(text.data ? text.data : "", text.len, &token->header, err) < 0 ||
	    !json_is_object(token->header))
		return error_set(err, ERR_UNAUTHORIZED, "its header is not a JSON object");
	return 0;
}

static int read_header(struct token *token, struct error *err)
{
	const char *algorithm;

	if (parse_header(token, err) < 0)
		return -1;
	algorithm = json_get_text(token->header, "alg");
	token->algorithm = algorithm ? token_algorithm_find(algorithm) : NULL;
	if (!token->algorithm)
		return error_set(err, ERR_UNAUTHORIZED, "its algorithm is none that is accepted");
	/* What it lists must be understood, and we understand no extension. RFC 7515, 4.1.11. */
	if (json_object_get(token->header, "crit"))
		return error_set(err, ERR_UNAUTHORIZED, "it demands extensions");
	token->key_id = json_get_text(token->header, "kid");
	if (json_object_get(token->header, "kid") && !token->key_id)
		return error_set(err, ERR_UNAUTHORIZED, "its kid is not a text");
	return 0;
}

static int read_claims(struct token *token, struct error *err)
{
	cjose_err problem;
	uint8_t *text = NULL;
	size_t len = 0;

	if (!cjose_jws_get_plaintext(token->jws, &text, &len, &problem) ||
	    json_parse((const char *)text, len, &token->claims, err) < 0 ||
	    !json_is_object(token->claims))
		return error_set(err, ERR_UNAUTHORIZED, "its claims are not a JSON object");
	return 0;
}

int token_read(struct token *ret, const char *text, size_t max_bytes, struct error *err)
{
	struct token token = {.text = text};
	cjose_err problem;

	if (!token_has_form(text, max_bytes))
		return error_set(err, ERR_UNAUTHORIZED, "not a token");
	token.jws = cjose_jws_import(text, strlen(text), &problem);
	if (!token.jws)
		return error_set(err, ERR_UNAUTHORIZED, "not a token that can be read");
	if (read_header(&token, err) < 0 || read_claims(&token, err) < 0) {
		token_done(&token);
		return -1;
	}
	*ret = token;
	return 0;
}

void token_done(struct token *token)
{
	jws_p(&token->jws);
	json_decref(token->header);
	json_decref(token->claims);
	*token = (struct token){0};
}

int token_check_signature(const struct token *token, const cjose_jwk_t *key, struct error *err)
{
	cjose_err problem;

	if (!token_algorithm_fits(token->algorithm, key))
		return error_set(err, ERR_UNAUTHORIZED, "the key is not for %s",
				 token->algorithm->name);
	if (!is_signature_canonical(token, key) || !cjose_jws_verify(token->jws, key, &problem))
		return error_set(err, ERR_UNAUTHORIZED, "bad signature");
	return 0;
}

int token_check_own(const struct token *token, const struct token_key *key, struct error *err)
{
	/* Before the signature is looked at: what we did not sign that way is not ours. */
	if (!token->key_id || strcmp(token->key_id, token_key_id(key)) != 0)
		return error_set(err, ERR_UNAUTHORIZED, "unknown key");
	if (token->algorithm != key->algorithm)
		return error_set(err, ERR_UNAUTHORIZED, "another algorithm");
	return token_check_signature(token, key->jwk, err);
}
