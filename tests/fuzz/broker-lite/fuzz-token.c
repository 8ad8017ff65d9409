/* No input is a token of ours or of a server whose keys we have, and none does harm. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/claims.h"
#include "broker-lite/key-ring.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read of a token before anything vouches for it. */
static void read_claims(const char *text)
{
	const struct claims_rules rules = {"i", "a", "s t"};
	struct token token;
	long long expires_s;
	struct error err;

	if (token_read(&token, text, TOKEN_MAX_BYTES, &err) < 0)
		return;
	(void)claims_check_times(token.claims, 1000000, &expires_s, &err);
	(void)claims_check_rules(token.claims, &rules, &err);
	if (!claims_client_name(token.claims))
		__builtin_trap();
	token_done(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free_p) char *text = malloc(size + 1);
	static struct key_ring *ring;
	json_t *claims = NULL;
	struct error err;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!ring && key_ring_open(&ring, NULL, "fuzz", "ES256", 60, &err) < 0)
		abort();
	if (key_ring_verify(ring, text, "api", &claims, &err) == 0)
		__builtin_trap();
	read_claims(text);
	return 0;
}
