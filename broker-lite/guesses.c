#include "broker-lite/guesses.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COST_OF_CLIENT_MS (GUESSES_DRAIN_MS / GUESSES_OF_CLIENT)
#define COST_OF_ADDRESS_MS (GUESSES_DRAIN_MS / GUESSES_OF_ADDRESS)

int guesses_init(struct guesses *guesses, struct error *err)
{
	if (RAND_bytes(guesses->secret, sizeof(guesses->secret)) != 1)
		return error_set(err, ERR_SYSTEM, "no random numbers");
	guesses->buckets = calloc(GUESSES_SETS, sizeof(*guesses->buckets));
	return guesses->buckets ? 0 : error_oom(err);
}

void guesses_done(struct guesses *guesses)
{
	free(guesses->buckets);
	guesses->buckets = NULL;
}

static uint64_t hash(const struct guesses *guesses, const void *bytes, size_t len)
{
	unsigned char digest[32] = {0};
	unsigned digest_len = sizeof(digest);
	uint64_t result;

	(void)HMAC(EVP_sha256(), guesses->secret, sizeof(guesses->secret), bytes, len, digest,
		   &digest_len);
	memcpy(&result, digest, sizeof(result));
	return result;
}

static uint64_t hash_address(const struct guesses *guesses, const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET6, text, address) != 1)
		return hash(guesses, text, strlen(text));
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address))
		return hash(guesses, address, sizeof(address));
	return hash(guesses, address, 8); /* what one host or household is given */
}

struct guess guesses_about(const struct guesses *guesses, int kind, const char *client_id,
			   const char *address)
{
	uint64_t whole[2] = {hash(guesses, client_id, strlen(client_id)) + (uint64_t)kind,
			     hash_address(guesses, address)};

	return (struct guess){whole[0], whole[1], hash(guesses, whole, sizeof(whole))};
}

static struct guess_bucket *set_of(const struct guesses *guesses, uint64_t key)
{
	return guesses->buckets[key % GUESSES_SETS];
}

/* Milliseconds until one more fits. */
static unsigned long long wait_ms(const struct guesses *guesses, uint64_t key, unsigned cost_ms,
				  unsigned long long now_ms)
{
	const struct guess_bucket *set = set_of(guesses, key);

	for (size_t i = 0; i < GUESSES_WAYS; i++) {
		unsigned long long room_ms = now_ms + GUESSES_DRAIN_MS - cost_ms;

		if (set[i].key == key)
			return set[i].empty_ms > room_ms ? set[i].empty_ms - room_ms : 0;
	}
	return 0;
}

unsigned guesses_wait_s(const struct guesses *guesses, const struct guess *guess, bool is_known,
			unsigned long long now_ms)
{
	unsigned long long client_ms =
		wait_ms(guesses, is_known ? guess->both : guess->client, COST_OF_CLIENT_MS, now_ms);
	unsigned long long address_ms =
		is_known ? 0 : wait_ms(guesses, guess->address, COST_OF_ADDRESS_MS, now_ms);
	unsigned long long ms = client_ms > address_ms ? client_ms : address_ms;

	return (unsigned)((ms + 999) / 1000);
}

/* Where no bucket is free the emptiest one is given up: new names cannot push out what is full. */
static void count(struct guesses *guesses, uint64_t key, unsigned cost_ms,
		  unsigned long long now_ms)
{
	struct guess_bucket *set = set_of(guesses, key), *bucket = &set[0];
	unsigned long long from_ms;

	for (size_t i = 0; i < GUESSES_WAYS && bucket->key != key; i++) {
		if (set[i].key == key || set[i].empty_ms < bucket->empty_ms)
			bucket = &set[i];
	}
	if (bucket->key != key)
		*bucket = (struct guess_bucket){.key = key};
	from_ms = bucket->empty_ms > now_ms ? bucket->empty_ms : now_ms;
	bucket->empty_ms = from_ms + cost_ms;
	/* Checks that were begun before the bucket was full. */
	if (bucket->empty_ms > now_ms + GUESSES_DRAIN_MS)
		bucket->empty_ms = now_ms + GUESSES_DRAIN_MS;
}

void guesses_count(struct guesses *guesses, const struct guess *guess, unsigned long long now_ms)
{
	count(guesses, guess->client, COST_OF_CLIENT_MS, now_ms);
	count(guesses, guess->address, COST_OF_ADDRESS_MS, now_ms);
	count(guesses, guess->both, COST_OF_CLIENT_MS, now_ms);
}
