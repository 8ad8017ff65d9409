/**
 * TLS of a listener: what it shows, what it speaks, and whom it lets in.
 *
 * 1.2 and 1.3, forward secret AEAD suites, HTTP/1.1 alone, no renegotiation. What it shows can be
 * exchanged at any moment: handshakes that begin from then on use it, connections that stand keep
 * what they have. Tickets resume a session for a while; their keys change twice a day, and at once
 * with what is shown.
 */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include <openssl/ssl.h>

#include "common/error.h"

/** A certificate with its key and with those that lead on to its authority. */
struct tls_identity {
	X509 *certificate;
	EVP_PKEY *key;
	STACK_OF(X509) * chain; /* NULL: none */
};

/** Leaves it empty; harmless on an empty one. */
void tls_identity_done(struct tls_identity *identity);

struct tls_server;

/** One that shows nothing yet. NULL and an error without memory. */
struct tls_server *tls_server_new(struct error *err);

/** After the listener that uses it. Takes NULL. */
void tls_server_free(struct tls_server *server);

/**
 * Show @identity from now on, and if @authorities is not NULL demand a certificate of theirs from
 * every peer. Both are borrowed during the call. On failure all stays as it was.
 */
int tls_server_set(struct tls_server *server, const struct tls_identity *identity,
		   X509_STORE *authorities, struct error *err);

/** For a new connection; SSL_free() it. NULL: no memory. */
SSL *tls_server_accept(const struct tls_server *server);

/**
 * Log that a handshake with @peer has failed: for @why, or if that is NULL for the oldest error in
 * OpenSSL's queue. No more of them than log-limit.h lets pass.
 */
void tls_server_tell_failure(struct tls_server *server, const SSL *ssl, const char *peer,
			     const char *why);

#endif
