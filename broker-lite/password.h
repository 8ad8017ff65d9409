/**
 * Passwords of clients: hashing takes tens of milliseconds and 16 MiB by intention, so it happens
 * off the loop, one at a time, in a queue of bounded length. Source: RFC 7914 (scrypt).
 */
#ifndef BROKER_PASSWORD_H
#define BROKER_PASSWORD_H

#include <stdbool.h>

#include "common/error.h"
#include "common/loop.h"

/** A password that no client can mangle: letters and digits only. */
#define PASSWORD_LENGTH 48
#define PASSWORD_QUEUE_MAX 64

/** A text that tells whether a password is the right one; free() it. Blocks. */
char *password_hash(const char *password, struct error *err);

/**
 * The same for a secret that we made from random bytes: there is nothing to guess, so nothing is won
 * by being slow, and thousands of agents come back at once after a restart. Fast.
 */
char *password_hash_random(const char *secret, struct error *err);

/** A hash that no password has, in the scheme of one of the two above: for clients that are not there. */
char *password_hash_of_nobody(bool is_random, struct error *err);

/** Constant time. False also for a hash that is no such text. Blocks. */
bool password_matches(const char *hash, const char *password);

struct password_queue;

struct password_queue *password_queue_new(struct loop *loop, struct error *err);

/** After the loop has stopped and every job is done. Takes NULL. */
void password_queue_free(struct password_queue *queue);

/**
 * @hash: asked to be made, now the caller's, NULL if that failed; or NULL when a password was
 * checked. @matches: of a check.
 */
typedef void (*password_done_fn)(char *hash, bool matches, void *userdata);

/**
 * Hash @password, or check it against @hash if that is not NULL; both are copied. ERR_LIMIT when
 * the queue is full. @done comes on a later turn.
 */
int password_submit(struct password_queue *queue, const char *password, const char *hash,
		    password_done_fn done, void *userdata, struct error *err);

#endif
