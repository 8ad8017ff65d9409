#include "broker-lite/throttle.h"

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define WINDOW_MS 1000
#define TELL_MS 60000

struct throttle *throttle_new(unsigned limit, struct error *err)
{
	struct throttle *throttle = calloc(1, sizeof(*throttle));

	if (!throttle) {
		(void)error_oom(err);
		return NULL;
	}
	throttle->limit = limit;
	if (RAND_bytes((unsigned char *)throttle->key, sizeof(throttle->key)) == 1)
		return throttle;
	free(throttle);
	(void)error_set(err, ERR_SYSTEM, "no random numbers");
	return NULL;
}

void throttle_free(struct throttle *throttle)
{
	free(throttle);
}

/* --- addresses ---------------------------------------------------------------------------------
 */

static bool read_address(const char *text, unsigned char ret[16])
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(ret, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, ret + sizeof(mapped)) == 1)
		return true;
	if (inet_pton(AF_INET6, text, ret) != 1)
		return false;
	if (memcmp(ret, mapped, sizeof(mapped)) != 0)
		memset(ret + 8, 0, 8);
	return true;
}

bool throttle_read_forwarded(const char *forwarded_for, unsigned char ret[16])
{
	char text[INET6_ADDRSTRLEN + 16], *start = text, *end;
	const char *last = strrchr(forwarded_for, ',');
	size_t len;

	last = last ? last + 1 : forwarded_for;
	last += strspn(last, " \t");
	len = strcspn(last, " \t");
	if (len == 0 || len >= sizeof(text) || last[len + strspn(last + len, " \t")])
		return false;
	memcpy(text, last, len);
	text[len] = '\0';
	if (*text == '[') { /* [2001:db8::1]:443 */
		start++;
		end = strchr(text, ']');
		if (!end)
			return false;
		*end = '\0';
	} else {
		end = strchr(text, ':'); /* 192.0.2.1:443, but not 2001:db8::1 */
		if (end && !strchr(end + 1, ':'))
			*end = '\0';
	}
	return read_address(start, ret);
}

/* --- counting ----------------------------------------------------------------------------------
 */

static struct throttle_slot *set_of(struct throttle *throttle, const unsigned char address[16])
{
	uint64_t half[2], mixed;

	memcpy(half, address, sizeof(half));
	mixed = (half[0] ^ throttle->key[0]) * 0x9e3779b97f4a7c15u;
	mixed ^= mixed >> 32;
	mixed = (mixed ^ half[1] ^ throttle->key[1]) * 0xd6e8feb86659fd93u;
	return throttle->slots[(mixed >> 40) % THROTTLE_SETS];
}

static bool is_over(const struct throttle_slot *slot, unsigned long long now_ms)
{
	return slot->n == 0 || now_ms - slot->since_ms >= WINDOW_MS;
}

/* The one of @address, or one for it. */
static struct throttle_slot *find_slot(struct throttle *throttle, const unsigned char address[16],
				       unsigned long long now_ms)
{
	struct throttle_slot *set = set_of(throttle, address), *least = &set[0];

	for (size_t i = 0; i < THROTTLE_WAYS; i++) {
		struct throttle_slot *slot = &set[i];

		if (slot->n > 0 && memcmp(slot->address, address, 16) == 0)
			return slot;
		if (is_over(least, now_ms))
			continue;
		if (is_over(slot, now_ms) || slot->n < least->n)
			least = slot;
	}
	*least = (struct throttle_slot){.since_ms = now_ms};
	memcpy(least->address, address, 16);
	return least;
}

/* A flood is told of, but does not become one in the log. */
static void tell(struct throttle *throttle, const unsigned char address[16],
		 unsigned long long now_ms)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (throttle->told_ms > 0 && now_ms - throttle->told_ms < TELL_MS)
		return;
	throttle->told_ms = now_ms;
	(void)inet_ntop(AF_INET6, address, text, sizeof(text));
	log_warning("requests of %s are throttled (limit=%u/s, refused=%llu)", text,
		    throttle->limit, throttle->n_refused);
}

bool throttle_admit(struct throttle *throttle, const char *peer, const char *forwarded_for,
		    unsigned long long now_ms)
{
	unsigned char address[16] = {0};
	struct throttle_slot *slot;

	if ((!forwarded_for || !throttle_read_forwarded(forwarded_for, address)) &&
	    !read_address(peer, address))
		memset(address, 0, sizeof(address));
	slot = find_slot(throttle, address, now_ms);
	if (is_over(slot, now_ms)) {
		slot->since_ms = now_ms;
		slot->n = 0;
	}
	if (slot->n < throttle->limit) {
		slot->n++;
		return true;
	}
	throttle->n_refused++;
	tell(throttle, address, now_ms);
	return false;
}
