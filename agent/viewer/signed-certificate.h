/**
 * A certificate that the broker's authority has signed for the viewer's key, together with that authority's
 * own, in this order: kept in the state folder.
 */
#ifndef AGENT_VIEWER_SIGNED_CERTIFICATE_H
#define AGENT_VIEWER_SIGNED_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "common/error.h"

/** What was asked for. */
struct certificate_wish {
	EVP_PKEY *key;
	const char *names;     /* common/subject-names.h */
	const char *authority; /* SHA-256 in hex */
};

/** From the state folder; NULL: there is none that is of @key and still good. sk_X509_pop_free() it. */
STACK_OF(X509) * signed_certificate_read(const char *folder, EVP_PKEY *key);

/** Take @pem if it is what was wished for, and keep it in @folder. NULL and an error. */
STACK_OF(X509) * signed_certificate_take(const char *pem, const struct certificate_wish *wish,
					 const char *folder, struct error *err);

/** Is it time for another one, because less than a third of its life is left? In so many seconds; 0: now. */
long long signed_certificate_due_s(const STACK_OF(X509) * certificates);

/** Does it say what is wished for now? */
bool signed_certificate_fits(const STACK_OF(X509) * certificates,
			     const struct certificate_wish *wish);

#endif
