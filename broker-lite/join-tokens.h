/**
 * Tokens with which a host enrols itself: each is good once and for minutes.
 *
 * Of the secret in a token only the SHA-256 is kept. Source: link-protocol.h.
 */
#ifndef BROKER_JOIN_TOKENS_H
#define BROKER_JOIN_TOKENS_H

#include "broker-lite/store.h"
#include "common/http-server.h"
#include "common/list.h"

#define JOIN_TOKENS_MAX 1000
#define JOIN_FAILURES_MAX 10 /* from one address in a minute */
#define JOIN_ADDRESSES 64    /* that are remembered */

struct join_failures {
	char address[64];
	long long since_ms; /* by the clock that only goes forward */
	unsigned n;
};

struct join_tokens {
	struct list tokens; /* struct join_token::link */
	size_t n;
	struct store *store;
	struct join_failures failures[JOIN_ADDRESSES];
	size_t next_failures;
};

void join_tokens_init(struct join_tokens *tokens, struct store *store);
void join_tokens_done(struct join_tokens *tokens);
int join_tokens_load(struct join_tokens *tokens, struct error *err);

/**
 * Append a new token that pins @fingerprint. ERR_LIMIT: too many wait to be used. It is in the
 * store when @done says so.
 */
int join_tokens_make(struct join_tokens *tokens, const unsigned char fingerprint[32], int minutes,
		     struct buf *ret, store_done_fn done, void *userdata, struct error *err);

/**
 * Answer a POST of a secret: if it is good it is used up, and @authority and @statement are handed
 * out. @statement NULL: there is none to give.
 */
void join_tokens_serve(struct join_tokens *tokens, const char *authority, const char *statement,
		       struct http_request *request);

#endif
