/**
 * What somebody sends to an authority to get a certificate: PKCS#10, in base64. It holds a public key, the
 * names that the certificate is to have, and a signature by the key itself. Source: RFC 2986, RFC 5280.
 */
#ifndef COMMON_CERTIFICATE_REQUEST_H
#define COMMON_CERTIFICATE_REQUEST_H

#include <openssl/evp.h>

#include "common/buf.h"
#include "common/error.h"

#define CERTIFICATE_REQUEST_MAX_CHARACTERS 8192
#define CERTIFICATE_REQUEST_MAX_NAMES 16

struct certificate_request {
	EVP_PKEY *key; /* public */
	char *names;   /* as in subject-names.h, in the order of the request, each once */
};

/** Append one by @key for @names. */
int certificate_request_append(EVP_PKEY *key, const char *names, struct buf *ret,
			       struct error *err);

/**
 * Read what others have sent. Taken is a key of P-256 that has signed the request, and from one to
 * CERTIFICATE_REQUEST_MAX_NAMES names which are host names or addresses that a host can have
 * (subject_name_is_of_host()). Whatever else is asked for is passed over, and never signed.
 * ERR_INVALID, ERR_TOO_LARGE. On success end with certificate_request_done().
 */
int certificate_request_read(const char *text, struct certificate_request *ret, struct error *err);

void certificate_request_done(struct certificate_request *request);

#endif
