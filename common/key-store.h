/**
 * Files of certificates and keys that an administrator brings along.
 *
 * What a file is, its contents tell: PEM, key and certificates in any order, or PKCS#12. A Java key
 * store is refused with the command that converts it. Errors name the file and never the pass phrase.
 */
#ifndef COMMON_KEY_STORE_H
#define COMMON_KEY_STORE_H

#include "common/error.h"
#include "common/tls.h"

#define KEY_STORE_MAX_BYTES (1024 * 1024)

/**
 * Read a key with its certificate and chain. @files: one path, or two with a comma between them,
 * for PEM that is in two files. @pass: pass phrase, or NULL. The certificate is the one that fits
 * the key; it must come with it.
 */
int key_store_load(const char *files, const char *pass, struct tls_identity *ret,
		   struct error *err);

/** Read certificates alone: of authorities, or of peers themselves; X509_STORE_free() it. */
int key_store_load_authorities(const char *file, const char *pass, X509_STORE **ret,
			       struct error *err);

#endif
