/**
 * Who may come in: passwords into access tokens of ours, and access tokens, of ours or of external
 * authorization servers, into clients.
 *
 * A client that has shown its password once is recognised by an HMAC from then on, a token that has
 * been verified once by its text; whether it has expired, its client or its server was unregistered or
 * its key revoked is looked at every time. Sources: RFC 6749, RFC 6750; the API reference, "Token
 * endpoint"; the administrator reference, "Verification rules".
 */
#ifndef BROKER_AUTHORIZATION_H
#define BROKER_AUTHORIZATION_H

#include "broker-lite/auth-server-list.h"
#include "broker-lite/client-list.h"
#include "broker-lite/guesses.h"
#include "broker-lite/held.h"
#include "broker-lite/key-ring.h"
#include "broker-lite/password.h"
#include "common/http-server.h"

#define ACCESS_TOKEN_LIFE_S 3600
#define VERIFIED_TOKENS 1024 /* power of two */
#define REFUSAL_MS 200       /* from a wrong password to the answer; checking one takes less */
#define REFUSED_MAX 256
#define WAITING_MS 4500 /* for keys to be fetched; a call is to be answered within 5 s */
#define WAITING_MAX 128

struct verified_token {
	char *token; /* owned; NULL: free */
	size_t len;
	struct client *client; /* of an external server: owned */
	long long expires_s;
	unsigned generation;
	struct auth_server *server; /* that vouches for it; NULL: we do. Good in its generation */
};

/** All borrowed. */
struct authorization_parts {
	struct loop *loop;
	struct client_list *clients;
	struct password_queue *passwords;
	struct key_ring *keys;
	struct auth_server_list *servers; /* NULL: none */
	/* A request of authorization_hold() is to be looked at again. */
	void (*resume)(struct http_request *request, void *userdata);
	void *userdata;
};

struct authorization {
	struct authorization_parts parts;
	unsigned char remember_key[32];
	struct verified_token *verified; /* by the last characters of the token */
	struct guesses guesses;
	char *nobody[N_CLIENT_KINDS];      /* hashes that no password has */
	struct held refused;               /* wrong passwords that are to be answered */
	struct held waiting;               /* calls whose token's keys are being fetched */
	unsigned long long resumed_due_ms; /* of one of them that is looked at again; 0: none is */
};

int authorization_init(struct authorization *authorization, const struct authorization_parts *parts,
		       struct error *err);

/** The requests that it holds are answered. Before the loop ends. */
void authorization_stop(struct authorization *authorization);
void authorization_done(struct authorization *authorization);

/** Answer a request to the token endpoint, for clients of @kind. */
void authorization_serve_token(struct authorization *authorization, enum client_kind kind,
			       struct http_request *request);

/**
 * Who sent this Authorization header? @has_header: whether there was one. An external client lives at
 * least until the next call: client_ref() it for longer. *@ret_headers (static, or NULL) is for the
 * refusal. ERR_UNAUTHORIZED; ERR_DENIED the token is good and does not suffice, or, told apart for
 * agents only, its client was unregistered; ERR_UNAVAILABLE it cannot be told before keys have been
 * fetched, see authorization_hold().
 */
int authorization_check(struct authorization *authorization, enum client_kind kind, bool has_header,
			const char *header, struct client **ret,
			const struct http_header **ret_headers, struct error *err);

/**
 * Keep @request, about which authorization_check() could not tell. It is handed to `resume`, or
 * answered. ERR_UNAVAILABLE: too many are kept.
 */
int authorization_hold(struct authorization *authorization, struct http_request *request,
		       struct error *err);

#endif
