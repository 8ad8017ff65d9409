/**
 * An external authorization server: what the administrator said about it, and its public keys.
 *
 * The keys are fetched when it is registered, when the broker starts, before they are an hour old, and
 * when a token names one that is not among them, but then at most once in 30 seconds. Keys older than
 * an hour are not used. Source: the administrator reference, "Verification rules".
 */
#ifndef BROKER_AUTH_SERVER_H
#define BROKER_AUTH_SERVER_H

#include <stdbool.h>

#include "broker-lite/claims.h"
#include "broker-lite/key-fetch.h"
#include "broker-lite/key-set.h"

#define KEYS_LIFE_MS 3600000ULL
#define KEYS_REFRESH_MS 2700000ULL  /* from this age on they are fetched before they are needed */
#define KEYS_RETRY_MS 5000          /* after a fetch that failed, when they are needed */
#define KEYS_REFRESH_RETRY_MS 60000 /* when they are not yet */
#define KEYS_UNKNOWN_RETRY_MS 30000 /* for a key that is not among them */

/** As they were given; NULL: not. */
struct auth_server_options {
	const char *url;
	const char *algorithms; /* names with commas between them */
	const char *issuer, *audience, *scope;
};

struct auth_server {
	char *url, *algorithms, *issuer, *audience, *scope; /* as in the options */
	char *url_issuer;         /* what the URL says of the issuer; NULL: nothing */
	struct key_set *keys;     /* NULL: never fetched */
	unsigned char digest[32]; /* of the document they came from */
	unsigned long long fetched_ms, tried_ms, refetched_ms; /* loop_now_ms(); 0: never */
	bool is_fetching;
	bool is_gone; /* unregistered while a fetch was on its way, whose end frees it */
	struct fetcher *fetcher;
	/* A fetch is over; @has_changed: other keys than before. */
	void (*on_fetched)(bool has_changed, void *userdata);
	void *userdata;
};

enum auth_verdict { AUTH_ACCEPTED, AUTH_REFUSED, AUTH_LATER };

/** ERR_INVALID names the option that is wrong. Texts are copied. */
struct auth_server *auth_server_new(const struct auth_server_options *options,
				    struct fetcher *fetcher, struct error *err);

/** Also while its keys are being fetched. Takes NULL. */
void auth_server_free(struct auth_server *server);

/** The issuer whose tokens it vouches for; NULL: any. */
const char *auth_server_issuer(const struct auth_server *server);

/** Fetch its keys now, unless that is on its way. */
void auth_server_fetch(struct auth_server *server);

/** Can what was verified with its keys still be relied on? Sees to it that they do not get too old. */
bool auth_server_is_fresh(struct auth_server *server);

/**
 * Does it vouch for @token? AUTH_LATER: its keys are being fetched, on_fetched() will be called.
 * AUTH_REFUSED with @err: ERR_UNAUTHORIZED, or ERR_DENIED for audience and scope.
 */
enum auth_verdict auth_server_verify(struct auth_server *server, const struct token *token,
				     long long *ret_expires_s, struct error *err);

#endif
