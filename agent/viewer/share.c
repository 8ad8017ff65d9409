#include "agent/viewer/share.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "agent/viewer/transfer.h"

int shares_init(struct shares *shares, struct error *err)
{
	list_init(&shares->list);
	if (RAND_bytes(shares->secret, sizeof(shares->secret)) == 1)
		return 0;
	return error_set(err, ERR_SYSTEM, "no random bytes");
}

/* Of the token's signature there is nothing to learn from it. */
void share_make_key(const struct shares *shares, const char *session_id, const char *token,
		    struct share *share)
{
	unsigned char of_session[EVP_MAX_MD_SIZE], digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	(void)HMAC(EVP_sha256(), shares->secret, sizeof(shares->secret),
		   (const unsigned char *)session_id, strlen(session_id), of_session, &len);
	(void)HMAC(EVP_sha256(), of_session, (int)len, (const unsigned char *)token, strlen(token),
		   digest, &len);
	for (size_t i = 0; i < SHARE_KEY_BYTES / 2; i++)
		(void)snprintf(share->key + 2 * i, 3, "%02x", digest[i]);
}

void share_open(struct shares *shares, struct share *share)
{
	list_init(&share->transfers);
	share->n_transfers = 0;
	list_append(&shares->list, &share->link);
}

struct share *share_find(const struct shares *shares, const char *key)
{
	list_for_each (share, &shares->list, struct share, link) {
		if (CRYPTO_memcmp(share->key, key, SHARE_KEY_BYTES) == 0)
			return share;
	}
	return NULL;
}

size_t share_count_transfers(const struct shares *shares, const struct share *share)
{
	size_t n = 0;

	list_for_each (other, &shares->list, struct share, link) {
		if (other->storage == share->storage && strcmp(other->user, share->user) == 0)
			n += other->n_transfers;
	}
	return n;
}

static void break_off(struct share *share)
{
	list_for_each_safe (transfer, &share->transfers, struct transfer, link) {
		if ((transfer->needs & share->features) == 0)
			transfer_break_off(transfer);
	}
}

void share_set_features(struct share *share, uint32_t features)
{
	share->features = features;
	if (share->link.next)
		break_off(share);
}

void share_close(struct share *share)
{
	if (!share->link.next || list_is_empty(&share->link))
		return;
	list_remove(&share->link);
	share->features = 0;
	break_off(share);
	storage_forget(share->storage, share->visitor);
}
