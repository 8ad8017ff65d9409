/**
 * The built-in authorization server: passwords into access tokens, and access tokens into clients.
 *
 * A client that has shown its password once is recognised by an HMAC from then on, a token that has
 * been verified once by its text; whether it has expired or its client was unregistered is looked
 * at every time. Sources: RFC 6749, RFC 6750; the API reference, "Token endpoint".
 */
#ifndef BROKER_AUTHORIZATION_H
#define BROKER_AUTHORIZATION_H

#include "broker-lite/client-list.h"
#include "broker-lite/password.h"
#include "broker-lite/token.h"
#include "common/http-server.h"

#define ACCESS_TOKEN_LIFE_S 3600
#define VERIFIED_TOKENS 1024 /* power of two */

struct verified_token {
	char *token; /* owned; NULL: free */
	size_t len;
	struct client *client;
	long long expires_s;
};

struct authorization {
	struct client_list *clients;
	struct password_queue *passwords;
	struct token_key *key; /* owned */
	unsigned char remember_key[32];
	struct verified_token *verified; /* by the last characters of the token */
};

/** Takes @key. */
int authorization_init(struct authorization *authorization, struct client_list *clients,
		       struct password_queue *passwords, struct token_key *key, struct error *err);
void authorization_done(struct authorization *authorization);

/** Answer a request to the token endpoint, for clients of @kind. */
void authorization_serve_token(struct authorization *authorization, enum client_kind kind,
			       struct http_request *request);

/**
 * Who sent this Authorization header? @has_header: whether there was one. ERR_UNAUTHORIZED, with
 * *ret_headers (static, may be NULL to ask) for the refusal; ERR_DENIED the token is good and its
 * client was unregistered, told apart for agents only.
 */
int authorization_check(struct authorization *authorization, enum client_kind kind, bool has_header,
			const char *header, struct client **ret,
			const struct http_header **ret_headers, struct error *err);

#endif
