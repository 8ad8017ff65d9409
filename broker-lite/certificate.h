/**
 * The broker's own certificates: an authority, made once, and what it signs for the listeners.
 *
 * Both are ECDSA P-256 and are kept as PEM files in one folder: dcvsmbroker_ca.pem and .key,
 * listener.pem and .key. Source: the administrator reference, "Generated certificates".
 */
#ifndef BROKER_CERTIFICATE_H
#define BROKER_CERTIFICATE_H

#include "common/buf.h"
#include "common/error.h"

#define CERTIFICATE_AUTHORITY_FILE "dcvsmbroker_ca.pem"
#define CERTIFICATE_AUTHORITY_KEY_FILE "dcvsmbroker_ca.key"
#define CERTIFICATE_LISTENER_FILE "listener.pem"
#define CERTIFICATE_LISTENER_KEY_FILE "listener.key"

/**
 * Append this host's names as a subjectAltName text, such as "DNS:cad01,DNS:localhost,IP:::1":
 * short and full name, localhost, every address, and @extra, a list with commas, or NULL.
 */
int certificate_host_names(const char *extra, struct buf *ret, struct error *err);

/**
 * See that @folder has an authority and a listener certificate for @names. What is there is used
 * again; the listener's is made anew when its names are others, it was signed by another authority,
 * or less than a third of its life is left.
 */
int certificate_prepare(const char *folder, const char *names, struct error *err);

#endif
