/**
 * The viewer's key, and a certificate that signs itself: both are kept in the state folder. For hosts without
 * a broker, and until the broker has signed another one for the same key.
 */
#ifndef AGENT_VIEWER_OWN_CERTIFICATE_H
#define AGENT_VIEWER_OWN_CERTIFICATE_H

#include <openssl/x509.h>

#include "agent/config.h"
#include "common/error.h"

/** Read the key from @folder, which is made if it is not there, or make one. NULL and an error. */
EVP_PKEY *own_certificate_key(const char *folder, struct error *err);

/** Read the certificate of @key that names this host and lives on for a while, or make one. NULL and an error. */
X509 *own_certificate_get(const struct agent_config *config, const char *folder, EVP_PKEY *key,
			  struct error *err);

#endif
