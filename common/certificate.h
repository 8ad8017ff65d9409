/**
 * One certificate of our own: made, read, judged. What an authority does with it is its business.
 * Source: the administrator reference, "Generated certificates".
 */
#ifndef COMMON_CERTIFICATE_H
#define COMMON_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/tls.h"

#define CERTIFICATE_MAX_BYTES 65536
#define CERTIFICATE_OF_VIEWER "dcv-session-viewer" /* what it says it is for */
#define DAY_MS (24LL * 60 * 60 * 1000)

/** What is to be made. */
struct certificate_terms {
	const char *folder; /* where it is kept */
	const char *names;  /* a subjectAltName text */
	bool is_rsa;        /* else ECDSA P-256 */
	/* The length of a day. DAY_MS, but in tests, where certificates grow old in seconds. */
	long long day_ms;
};

struct certificate_extension {
	int nid;
	const char *value;
};

/** A new key. NULL and an error. Takes up to seconds if it is RSA, which then has @rsa_bits. */
EVP_PKEY *certificate_key_new(const struct certificate_terms *terms, unsigned rsa_bits,
			      struct error *err);

/**
 * Make a certificate for @key, valid from a day ago for @days from now. @issuer NULL: it signs itself with
 * @issuer_key. It does not outlive its issuer. @extensions end in a nid of 0. NULL and an error.
 */
X509 *certificate_new(const struct certificate_terms *terms, EVP_PKEY *key, const char *name,
		      int days, const struct certificate_extension *extensions, X509 *issuer,
		      EVP_PKEY *issuer_key, struct error *err);

/** When it was made, and how long it is still valid; in seconds. */
long long certificate_age_s(const X509 *certificate);
long long certificate_left_s(const X509 *certificate);

/** In seconds. */
long long certificate_days_s(const struct certificate_terms *terms, int days);

/** Does it name just @names? */
bool certificate_names_are(X509 *certificate, const char *names);

/** The path of a file in a folder; free() it. NULL and an error. */
char *certificate_path(const char *folder, const char *name, struct error *err);

/** Every certificate of a PEM file, none if there is no file; sk_X509_pop_free() it. */
STACK_OF(X509) * certificate_read_all(const char *folder, const char *name, struct error *err);

/** NULL without an error: there is no such file, or it holds no key. */
EVP_PKEY *certificate_read_key(const char *folder, const char *name, struct error *err);

/** Append one, or all, as PEM. */
int certificate_append(X509 *certificate, struct buf *ret, struct error *err);
int certificate_append_all(const STACK_OF(X509) * all, struct buf *ret, struct error *err);

/** Those in a PEM text; no error if there are none. */
STACK_OF(X509) * certificate_parse_all(const char *text, struct error *err);

int certificate_write_all(const char *folder, const char *name, const STACK_OF(X509) * all,
			  struct error *err);
int certificate_write_key(const char *folder, const char *name, EVP_PKEY *key, struct error *err);

/** For AUTO(). */
void x509_p(X509 **certificate);
void x509_all_p(STACK_OF(X509) * *all);
void key_p(EVP_PKEY **key);

#endif
