/**
 * So many requests a second from one address, and no more.
 *
 * A second begins with the first request of an address; within it @limit are let through. An IPv6
 * address stands for its /64, which is what one host can have. Addresses are of others' making, so the
 * memory for them is fixed: where there is no room the one goes that has asked least in its second.
 */
#ifndef BROKER_THROTTLE_H
#define BROKER_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

#define THROTTLE_SETS 1024 /* power of two */
#define THROTTLE_WAYS 4

struct throttle_slot {
	unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d, IPv6 without the last half */
	unsigned long long since_ms;
	unsigned n; /* in that second; 0: free */
};

struct throttle {
	unsigned limit;
	uint64_t key[2]; /* secret: nobody can choose addresses of one set */
	unsigned long long n_refused;
	unsigned long long told_ms; /* when the log told of an address last */
	struct throttle_slot slots[THROTTLE_SETS][THROTTLE_WAYS];
};

struct throttle *throttle_new(unsigned limit, struct error *err);

/** Takes NULL. */
void throttle_free(struct throttle *throttle);

/**
 * May a request of @peer (an address as text) be served at @now_ms? What is no address counts as one
 * that all such share. @forwarded_for: X-Forwarded-For, whose last address, the one that the nearest
 * proxy has seen, takes the place of the peer's; "" or NULL, or if that is no address: the peer's.
 */
bool throttle_admit(struct throttle *throttle, const char *peer, const char *forwarded_for,
		    unsigned long long now_ms);

/** The address that the last element of an X-Forwarded-For names, also with a port or in brackets. */
bool throttle_read_forwarded(const char *forwarded_for, unsigned char ret[16]);

#endif
