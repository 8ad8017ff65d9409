/**
 * The broker's own authority, and the listener certificate that it signs.
 *
 * All are files of one folder: dcvsmbroker_ca.pem and .key, listener.pem and .key. When 180 days of
 * the authority are left the next one is made, with its key in dcvsmbroker_ca_next.key, and joins
 * dcvsmbroker_ca.pem as a second certificate. So there are 30 days to take that file to whoever must
 * trust the broker; then the next one signs what is renewed. An authority that has expired is
 * dropped. Source: the administrator reference, "Renewal".
 */
#ifndef BROKER_AUTHORITY_H
#define BROKER_AUTHORITY_H

#include "common/certificate.h"

#define AUTHORITY_FILE "dcvsmbroker_ca.pem"
#define AUTHORITY_KEY_FILE "dcvsmbroker_ca.key"
#define AUTHORITY_NEXT_KEY_FILE "dcvsmbroker_ca_next.key"
#define LISTENER_FILE "listener.pem"
#define LISTENER_KEY_FILE "listener.key"

/** What was done. */
enum authority_event {
	AUTHORITY_MADE = 1,
	AUTHORITY_FOLLOWED = 2, /* by the next one */
	AUTHORITY_DROPPED = 4,
	LISTENER_MADE = 8,
};

/** What was found good, or made. */
struct authority_state {
	struct tls_identity listener;
	STACK_OF(X509) * authorities; /* as published: the first one is the older */
	int signer;                   /* which of them signs now */
	unsigned events;              /* enum authority_event; also of a failure */
};

void authority_state_done(struct authority_state *state);

/**
 * See that all is there and good for a while. The listener's certificate is made anew when its
 * names or its kind of key are others, it was signed by somebody else, or less than a third of its
 * life or 30 days are left. A certificate that others trust is never replaced because its key is
 * missing or wrong: that is an error. Blocks on files, and logs nothing: made for another thread.
 */
int authority_prepare(const struct certificate_terms *terms, struct authority_state *ret,
		      struct error *err);

/**
 * Sign a certificate of a host's web viewer for @key, good for AUTHORITY_HOST_DAYS: for servers of TLS
 * alone, with @terms->names and nothing else of what was asked for. *ret: it, and the authority that has
 * signed it; sk_X509_pop_free() it. Blocks on files as above. Who may have which names is not looked at
 * here.
 */
int authority_sign(const struct certificate_terms *terms, EVP_PKEY *key, STACK_OF(X509) * *ret,
		   struct error *err);

#define AUTHORITY_HOST_DAYS 30

/** Log what was done. */
void authority_tell(const struct certificate_terms *terms, const struct authority_state *state);

#endif
