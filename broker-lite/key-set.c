#include "broker-lite/key-set.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 8192 /* above it, each forged token would cost milliseconds */
#define EXPONENT_MAX_BYTES 8

struct key {
	cjose_jwk_t *jwk;
	char *id;        /* NULL: none */
	char *algorithm; /* that it says it is for; NULL: nothing */
};

struct key_set {
	size_t n;
	struct key keys[];
};

void key_set_free(struct key_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n; i++) {
		(void)cjose_jwk_release(set->keys[i].jwk);
		free(set->keys[i].id);
		free(set->keys[i].algorithm);
	}
	free(set);
}

static void key_set_p(struct key_set **set)
{
	key_set_free(*set);
}

size_t key_set_size(const struct key_set *set)
{
	return set->n;
}

/* The bytes of a number, zeros in front only if they are wanted. */
static int read_number(const json_t *object, const char *name, bool keep_zeros, struct buf *ret,
		       struct error *err)
{
	const char *text = json_get_text(object, name);
	size_t n_zeros = 0;

	if (!text || base64_decode(text, ret, err) < 0)
		return error_set(err, ERR_INVALID, "its '%s' is not a number", name);
	while (!keep_zeros && n_zeros < ret->len && ret->data[n_zeros] == 0)
		n_zeros++;
	buf_consume(ret, n_zeros);
	return 0;
}

static int count_bits(const struct buf *number)
{
	int bits = (int)number->len * 8;

	for (unsigned char first = number->len ? (unsigned char)number->data[0] : 0;
	     first && !(first & 0x80); first = (unsigned char)(first << 1))
		bits--;
	return bits;
}

static int check_rsa(const json_t *object, struct error *err)
{
	AUTO(buf_done) struct buf modulus = {0};
	AUTO(buf_done) struct buf exponent = {0};
	int bits;

	if (read_number(object, "n", false, &modulus, err) < 0 ||
	    read_number(object, "e", false, &exponent, err) < 0)
		return -1;
	bits = count_bits(&modulus);
	if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS)
		return error_set(err, ERR_INVALID, "it has %d bits, not %d to %d", bits,
				 RSA_MIN_BITS, RSA_MAX_BITS);
	if (count_bits(&exponent) < 2 || exponent.len > EXPONENT_MAX_BYTES ||
	    !(exponent.data[exponent.len - 1] & 1))
		return error_set(err, ERR_INVALID, "its exponent is unusual");
	return 0;
}

/* Whether it is a key that signs tokens. */
static int check_key(const json_t *object, bool *ret_is_rsa, struct error *err)
{
	const json_t *use = json_object_get(object, "use"), *id = json_object_get(object, "kid");
	const json_t *algorithm = json_object_get(object, "alg");
	const char *type = json_get_text(object, "kty");

	if (!type || (strcmp(type, "RSA") != 0 && strcmp(type, "EC") != 0))
		return error_set(err, ERR_INVALID, "its type is not RSA or EC");
	if (use && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0))
		return error_set(err, ERR_INVALID, "it is not for signatures");
	if ((id && !json_is_string(id)) || (algorithm && !json_is_string(algorithm)))
		return error_set(err, ERR_INVALID, "its 'kid' or 'alg' is not a text");
	*ret_is_rsa = strcmp(type, "RSA") == 0;
	return *ret_is_rsa ? check_rsa(object, err) : 0;
}

static char *copy_text(const json_t *object, const char *name)
{
	const char *text = json_get_text(object, name);

	return text ? strdup(text) : NULL;
}

/* Written anew: the library ends the program over some texts that are not Base64. */
static int copy_number(json_t *to, const json_t *from, const char *name, bool keep_zeros,
		       struct error *err)
{
	AUTO(buf_done) struct buf bytes = {0};
	AUTO(buf_done) struct buf text = {0};

	if (read_number(from, name, keep_zeros, &bytes, err) < 0 ||
	    base64url_append(&text, bytes.data ? bytes.data : "", bytes.len, err) < 0)
		return -1;
	json_set_text(to, name, text.data ? text.data : "");
	return 0;
}

/* Only the public part of it: whatever else a server lets slip is none of our business. */
static int add_key(struct key_set *set, const json_t *object, struct error *err)
{
	struct key *key = &set->keys[set->n];
	json_auto_t *public_part = json_object();
	AUTO(buf_done) struct buf text = {0};
	cjose_err problem;
	bool is_rsa;

	if (check_key(object, &is_rsa, err) < 0)
		return -1;
	json_set_text(public_part, "kty", is_rsa ? "RSA" : "EC");
	json_set_text(public_part, "crv", is_rsa ? NULL : json_get_text(object, "crv"));
	/* The coordinates of a point have as many bytes as its curve has. */
	if (copy_number(public_part, object, is_rsa ? "n" : "x", !is_rsa, err) < 0 ||
	    copy_number(public_part, object, is_rsa ? "e" : "y", !is_rsa, err) < 0 ||
	    json_append(&text, public_part, err) < 0)
		return -1;
	key->jwk = cjose_jwk_import(text.data, text.len, &problem);
	if (!key->jwk)
		return error_set(err, ERR_INVALID, "it cannot be read");
	key->id = copy_text(object, "kid");
	key->algorithm = copy_text(object, "alg");
	set->n++;
	return 0;
}

int key_set_read(struct key_set **ret, const char *text, size_t len, struct error *err)
{
	AUTO(key_set_p) struct key_set *set = NULL;
	json_auto_t *document = NULL;
	const json_t *list, *object;
	size_t i;

	if (json_parse(text, len, &document, err) < 0)
		return error_prefix(err, "not a key set");
	list = json_object_get(document, "keys");
	if (!json_is_array(list))
		return error_set(err, ERR_INVALID, "not a key set: there is no array 'keys'");
	if (json_array_size(list) > KEY_SET_MAX_KEYS)
		return error_set(err, ERR_INVALID, "a key set with more than %d keys",
				 KEY_SET_MAX_KEYS);
	set = calloc(1, sizeof(*set) + json_array_size(list) * sizeof(set->keys[0]));
	if (!set)
		return error_oom(err);
	json_array_foreach(list, i, object)
	{
		struct error ignored; /* RFC 7517, 5: a key that is not understood is passed over */

		(void)add_key(set, object, &ignored);
	}
	*ret = TAKE(set);
	return 0;
}

/* --- choosing ----------------------------------------------------------------------------------
 */

static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (; *list; list += strcspn(list, ","), list += *list == ',') {
		if (strncmp(list, name, len) == 0 && (list[len] == ',' || list[len] == '\0'))
			return true;
	}
	return false;
}

static bool may_use(const struct key *key, const struct token_algorithm *algorithm,
		    const char *allowed)
{
	if (!token_algorithm_fits(algorithm, key->jwk))
		return false;
	if (allowed)
		return is_listed(allowed, algorithm->name);
	return key->algorithm ? strcmp(key->algorithm, algorithm->name) == 0
			      : algorithm->is_default;
}

int key_set_find(const struct key_set *set, const struct token *token, const char *allowed,
		 const cjose_jwk_t **ret, struct error *err)
{
	const cjose_jwk_t *found = NULL;
	bool is_named = false, is_ambiguous = false;

	for (size_t i = 0; i < set->n; i++) {
		const struct key *key = &set->keys[i];

		if (token->key_id && (!key->id || strcmp(key->id, token->key_id) != 0))
			continue;
		is_named = true;
		if (!may_use(key, token->algorithm, allowed))
			continue;
		is_ambiguous = found && !token->key_id;
		found = found ? found : key->jwk;
	}
	if (token->key_id && !is_named)
		return error_set(err, ERR_NOT_FOUND, "unknown key");
	if (!found)
		return error_set(err, ERR_UNAUTHORIZED, "no key of the server is for %s",
				 token->algorithm->name);
	if (is_ambiguous)
		return error_set(err, ERR_UNAUTHORIZED, "it does not tell which key was used");
	*ret = found;
	return 0;
}
