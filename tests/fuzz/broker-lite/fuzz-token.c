/* No input is a token of ours, and none does harm. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/token.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free_p) char *text = malloc(size + 1);
	static struct token_key *key;
	json_t *claims = NULL;
	struct error err;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!key && token_key_make(&key, &err) < 0)
		abort();
	if (token_verify(key, text, "api", &claims, &err) == 0)
		__builtin_trap();
	return 0;
}
