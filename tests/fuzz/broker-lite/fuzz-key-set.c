/* A key set in front of the first line end, a token behind it: whatever a server sends, nothing is hurt, keys that
 * are kept can be used, and a token that a key vouches for has an algorithm that fits the key. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/key-set.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void verify(const struct key_set *set, const char *text, const char *allowed)
{
	const cjose_jwk_t *key;
	struct token token;
	struct error err;

	if (token_read(&token, text, TOKEN_MAX_BYTES, &err) < 0)
		return;
	if (key_set_find(set, &token, allowed, &key, &err) == 0) {
		if (!token_algorithm_fits(token.algorithm, key))
			__builtin_trap();
		(void)token_check_signature(&token, key, &err);
	}
	token_done(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free_p) char *text = malloc(size + 1);
	struct key_set *set = NULL;
	struct error err;
	size_t len;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	len = strcspn(text, "\n");
	if (key_set_read(&set, text, len, &err) == 0) {
		if (key_set_size(set) > KEY_SET_MAX_KEYS)
			__builtin_trap();
		if (len < size) {
			verify(set, text + len + 1, NULL);
			verify(set, text + len + 1, "RS256,PS512,ES384");
		}
		key_set_free(set);
	}
	return 0;
}
