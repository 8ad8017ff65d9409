#include "common/certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/file.h"

#define CLOCK_MARGIN_S 86400L /* agents whose clock is behind ours */

/* OpenSSL would ask for one at the terminal. */
static char no_pass_phrase[] = "";

void x509_p(X509 **certificate)
{
	X509_free(*certificate);
}

void x509_all_p(STACK_OF(X509) * *all)
{
	sk_X509_pop_free(*all, X509_free);
}

void key_p(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void bio_p(BIO **bio)
{
	(void)BIO_free(*bio);
}

static int ssl_error(struct error *err, const char *what)
{
	char reason[160];

	ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
	ERR_clear_error();
	return error_set(err, ERR_SYSTEM, "%s: %s", what, reason);
}

/* --- time --------------------------------------------------------------------------------------
 */

long long certificate_days_s(const struct certificate_terms *terms, int days)
{
	return days * terms->day_ms / 1000;
}

static long long difference_s(const ASN1_TIME *from, const ASN1_TIME *to)
{
	int days = 0, seconds = 0;

	if (!ASN1_TIME_diff(&days, &seconds, from, to))
		return 0;
	return days * 86400LL + seconds;
}

long long certificate_age_s(const X509 *certificate)
{
	return difference_s(X509_get0_notBefore(certificate), NULL) - CLOCK_MARGIN_S;
}

long long certificate_left_s(const X509 *certificate)
{
	return difference_s(NULL, X509_get0_notAfter(certificate));
}

/* --- files -------------------------------------------------------------------------------------
 */

char *certificate_path(const char *folder, const char *name, struct error *err)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		(void)error_oom(err);
		return NULL;
	}
	return path;
}

/* NULL without an error: there is no such file. */
static BIO *open_file(const char *folder, const char *name, struct error *err)
{
	AUTO(free_p) char *path = certificate_path(folder, name, err);

	if (!path || access(path, F_OK) < 0)
		return NULL;
	return BIO_new_file(path, "r");
}

/* @bio NULL: there is nothing to read. */
static STACK_OF(X509) * read_all(BIO *bio, struct error *err)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	X509 *certificate;

	if (!all) {
		(void)error_oom(err);
		return NULL;
	}
	while (bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, no_pass_phrase)))
		(void)sk_X509_push(all, certificate);
	ERR_clear_error();
	return all;
}

STACK_OF(X509) * certificate_read_all(const char *folder, const char *name, struct error *err)
{
	AUTO(bio_p) BIO *bio = open_file(folder, name, err);

	return read_all(bio, err);
}

STACK_OF(X509) * certificate_parse_all(const char *text, struct error *err)
{
	AUTO(bio_p) BIO *bio = BIO_new_mem_buf(text, -1);

	return read_all(bio, err);
}

EVP_PKEY *certificate_read_key(const char *folder, const char *name, struct error *err)
{
	AUTO(bio_p) BIO *bio = open_file(folder, name, err);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, no_pass_phrase) : NULL;

	ERR_clear_error();
	return key;
}

int certificate_append(X509 *certificate, struct buf *ret, struct error *err)
{
	AUTO(bio_p) BIO *text = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	long len;

	if (!text || PEM_write_bio_X509(text, certificate) != 1)
		return ssl_error(err, "write a certificate");
	len = BIO_get_mem_data(text, &bytes);
	return buf_append(ret, bytes, (size_t)len, err);
}

int certificate_append_all(const STACK_OF(X509) * all, struct buf *ret, struct error *err)
{
	for (int i = 0; i < sk_X509_num(all); i++) {
		if (certificate_append(sk_X509_value(all, i), ret, err) < 0)
			return -1;
	}
	return 0;
}

int certificate_write_all(const char *folder, const char *name, const STACK_OF(X509) * all,
			  struct error *err)
{
	AUTO(free_p) char *path = certificate_path(folder, name, err);
	AUTO(buf_done) struct buf text = {0};

	if (!path || certificate_append_all(all, &text, err) < 0)
		return -1;
	return file_write_atomic(path, text.data ? text.data : "", text.len, 0644, err);
}

int certificate_write_key(const char *folder, const char *name, EVP_PKEY *key, struct error *err)
{
	AUTO(free_p) char *path = certificate_path(folder, name, err);
	AUTO(bio_p) BIO *text = BIO_new(BIO_s_secmem());
	char *bytes = NULL;
	long len;

	if (!path)
		return -1;
	if (!text || PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) != 1)
		return ssl_error(err, "write a key");
	len = BIO_get_mem_data(text, &bytes);
	return file_write_atomic(path, bytes, (size_t)len, 0600, err);
}

/* --- making ------------------------------------------------------------------------------------
 */

EVP_PKEY *certificate_key_new(const struct certificate_terms *terms, unsigned rsa_bits,
			      struct error *err)
{
	EVP_PKEY *key = terms->is_rsa ? EVP_RSA_gen(rsa_bits) : EVP_EC_gen("P-256");

	if (!key)
		(void)ssl_error(err, "make a key");
	return key;
}

static int add_extension(X509 *certificate, X509 *issuer, const struct certificate_extension *e)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;
	int added;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, e->nid, e->value);
	if (!extension)
		return -1;
	added = X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return added ? 0 : -1;
}

static int set_serial(X509 *certificate)
{
	unsigned char bytes[16];
	BIGNUM *number;
	int ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return -1;
	bytes[0] &= 0x7f;
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return ok ? 0 : -1;
}

static int set_times(X509 *certificate, long long life_s, const X509 *issuer)
{
	if (!X509_gmtime_adj(X509_getm_notBefore(certificate), -CLOCK_MARGIN_S))
		return -1;
	if (issuer && certificate_left_s(issuer) < life_s)
		return X509_set1_notAfter(certificate, X509_get0_notAfter(issuer)) == 1 ? 0 : -1;
	return X509_gmtime_adj(X509_getm_notAfter(certificate), (long)life_s) ? 0 : -1;
}

X509 *certificate_new(const struct certificate_terms *terms, EVP_PKEY *key, const char *name,
		      int days, const struct certificate_extension *extensions, X509 *issuer,
		      EVP_PKEY *issuer_key, struct error *err)
{
	AUTO(x509_p) X509 *certificate = X509_new();
	X509 *signer = issuer ? issuer : certificate;
	bool ok = certificate && X509_set_version(certificate, X509_VERSION_3) == 1 &&
		  set_serial(certificate) == 0 && X509_set_pubkey(certificate, key) == 1 &&
		  set_times(certificate, certificate_days_s(terms, days), issuer) == 0 &&
		  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN",
					     MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
					     0) == 1 &&
		  X509_set_issuer_name(certificate, X509_get_subject_name(signer)) == 1;

	for (; ok && extensions->nid; extensions++)
		ok = add_extension(certificate, signer, extensions) == 0;
	if (!ok || X509_sign(certificate, issuer_key, EVP_sha256()) == 0) {
		(void)ssl_error(err, "make a certificate");
		return NULL;
	}
	return TAKE(certificate);
}

/* Compared as encoded: the same text makes the same bytes. */
bool certificate_names_are(X509 *certificate, const char *names)
{
	int at = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1);
	X509_EXTENSION *wanted = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	bool same = at >= 0 && wanted &&
		    ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(X509_get_ext(certificate, at)),
					  X509_EXTENSION_get_data(wanted)) == 0;

	X509_EXTENSION_free(wanted);
	return same;
}
