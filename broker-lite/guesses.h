/**
 * How often wrong passwords were shown lately, by client and by address, so that guessing is slow.
 *
 * Each wrong one fills a bucket of its client and one of its address, and a bucket runs empty by itself
 * in a minute. While one is full no password is looked at, so nobody is locked out for longer than it
 * takes to drain. Who guesses at a client from elsewhere does not keep it out of the address where it has
 * shown the right one before: there only what came from that address counts. What is kept is bounded; ids
 * that do not exist are counted like others, so that this tells nothing about them.
 */
#ifndef BROKER_GUESSES_H
#define BROKER_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

#define GUESSES_OF_CLIENT 20
#define GUESSES_OF_ADDRESS 30
#define GUESSES_DRAIN_MS 60000 /* of a full bucket */
#define GUESSES_SETS 1024
#define GUESSES_WAYS 4

struct guess_bucket {
	uint64_t key;
	unsigned long long empty_ms; /* when it will have run empty */
};

struct guesses {
	unsigned char secret[32]; /* nobody can choose what shares a bucket */
	struct guess_bucket (*buckets)[GUESSES_WAYS];
};

int guesses_init(struct guesses *guesses, struct error *err);
void guesses_done(struct guesses *guesses);

/** Where a password comes from and whose it is said to be. */
struct guess {
	uint64_t client, address, both;
};

/** @kind keeps ids of different kinds apart. Of an IPv6 address the first 64 bits count. */
struct guess guesses_about(const struct guesses *guesses, int kind, const char *client_id,
			   const char *address);

/**
 * Seconds until a password may be tried; 0: now. @is_known: this client has shown the right one from
 * this address.
 */
unsigned guesses_wait_s(const struct guesses *guesses, const struct guess *guess, bool is_known,
			unsigned long long now_ms);

/** It was wrong. */
void guesses_count(struct guesses *guesses, const struct guess *guess, unsigned long long now_ms);

#endif
