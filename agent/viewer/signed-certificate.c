#include "agent/viewer/signed-certificate.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "common/certificate.h"
#include "common/cleanup.h"

#define FILE_NAME "signed.pem"

static bool is_by(X509 *authority, const char *fingerprint)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char text[2 * SHA256_DIGEST_LENGTH + 1] = "";
	unsigned len = 0;

	if (X509_digest(authority, EVP_sha256(), digest, &len) != 1)
		return false;
	for (unsigned i = 0; i < len; i++)
		(void)snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
	return strcmp(text, fingerprint) == 0;
}

/* Two that belong together, for @key. */
static int check(const STACK_OF(X509) * all, EVP_PKEY *key, struct error *err)
{
	X509 *certificate = sk_X509_value(all, 0), *authority = sk_X509_value(all, 1);
	bool ok = sk_X509_num(all) == 2 && X509_check_private_key(certificate, key) == 1 &&
		  X509_verify(certificate, X509_get0_pubkey(authority)) == 1 &&
		  X509_check_purpose(certificate, X509_PURPOSE_SSL_SERVER, 0) == 1;

	ERR_clear_error();
	if (!ok)
		return error_set(err, ERR_INVALID, "it is not signed for our key");
	if (certificate_left_s(certificate) <= 0)
		return error_set(err, ERR_INVALID, "it has expired");
	return 0;
}

bool signed_certificate_fits(const STACK_OF(X509) * certificates,
			     const struct certificate_wish *wish)
{
	return certificate_names_are(sk_X509_value(certificates, 0), wish->names) &&
	       is_by(sk_X509_value(certificates, 1), wish->authority);
}

long long signed_certificate_due_s(const STACK_OF(X509) * certificates)
{
	const X509 *certificate = sk_X509_value(certificates, 0);
	long long left_s = certificate_left_s(certificate);
	long long life_s = certificate_age_s(certificate) + left_s;

	return left_s > life_s / 3 ? left_s - life_s / 3 : 0;
}

STACK_OF(X509) * signed_certificate_read(const char *folder, EVP_PKEY *key)
{
	struct error ignored;
	AUTO(x509_all_p)
	STACK_OF(X509) *all = certificate_read_all(folder, FILE_NAME, &ignored);

	return all && check(all, key, &ignored) == 0 ? TAKE(all) : NULL;
}

STACK_OF(X509) * signed_certificate_take(const char *pem, const struct certificate_wish *wish,
					 const char *folder, struct error *err)
{
	AUTO(x509_all_p) STACK_OF(X509) *all = certificate_parse_all(pem, err);

	if (!all)
		return NULL;
	if (check(all, wish->key, err) < 0)
		return NULL;
	if (!signed_certificate_fits(all, wish)) {
		(void)error_set(err, ERR_CONFLICT,
				"it is not for the names and the authority "
				"that are asked for now");
		return NULL;
	}
	if (certificate_write_all(folder, FILE_NAME, all, err) < 0)
		return NULL;
	return TAKE(all);
}
