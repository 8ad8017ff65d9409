#include "common/key-store.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"

/* What was found in one file or two, the key's own certificate among the others. */
struct contents {
	EVP_PKEY *key; /* NULL: none */
	STACK_OF(X509) * certificates;
};

static void contents_done(struct contents *c)
{
	EVP_PKEY_free(c->key);
	sk_X509_pop_free(c->certificates, X509_free);
}

static void bio_p(BIO **bio)
{
	(void)BIO_free(*bio);
}

static void pkcs12_p(PKCS12 **store)
{
	PKCS12_free(*store);
}

static void identity_p(struct tls_identity *identity)
{
	tls_identity_done(identity);
}

static const char *last_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason ? reason : "it is damaged";
}

/* --- PEM ---------------------------------------------------------------------------------------
 */

struct pass_phrase {
	const char *text; /* NULL: none was given */
	bool was_asked;
};

static int give_pass_phrase(char *ret, int size, int is_writing, void *userdata)
{
	struct pass_phrase *pass = userdata;
	size_t len = pass->text ? strlen(pass->text) : 0;

	(void)is_writing;
	pass->was_asked = true;
	if (!pass->text || len > (size_t)size)
		return -1;
	memcpy(ret, pass->text, len);
	return (int)len;
}

static int read_pem_key(const struct buf *bytes, const char *name, const char *phrase,
			struct contents *ret, struct error *err)
{
	static const char key_end[] = "PRIVATE KEY-----"; /* of the line it begins with */
	struct pass_phrase pass = {.text = phrase};
	AUTO(bio_p) BIO *bio = BIO_new_mem_buf(bytes->data, (int)bytes->len);
	EVP_PKEY *key;

	if (!bio)
		return error_oom(err);
	if (!memmem(bytes->data, bytes->len, key_end, strlen(key_end)))
		return 0;
	key = PEM_read_bio_PrivateKey(bio, NULL, give_pass_phrase, &pass);
	if (!key && pass.was_asked)
		return error_set(err, ERR_CONFIG,
				 phrase ? "%s: the pass phrase does not open the key"
					: "%s: the key needs a pass phrase, and none is set",
				 name);
	if (!key)
		return error_set(err, ERR_CONFIG, "%s: the key cannot be read: %s", name,
				 last_reason());
	if (ret->key) {
		EVP_PKEY_free(key);
		return error_set(err, ERR_CONFIG, "%s: there is more than one key", name);
	}
	ret->key = key;
	return 0;
}

static int read_pem(const struct buf *bytes, const char *name, const char *phrase,
		    struct contents *ret, struct error *err)
{
	AUTO(bio_p) BIO *bio = BIO_new_mem_buf(bytes->data, (int)bytes->len);
	struct pass_phrase none = {.text = NULL};
	X509 *certificate;

	ERR_clear_error();
	if (!bio)
		return error_oom(err);
	if (read_pem_key(bytes, name, phrase, ret, err) < 0)
		return -1;
	ERR_clear_error();
	while ((certificate = PEM_read_bio_X509_AUX(bio, NULL, give_pass_phrase, &none))) {
		if (sk_X509_push(ret->certificates, certificate) == 0) {
			X509_free(certificate);
			return error_oom(err);
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return error_set(err, ERR_CONFIG, "%s: a certificate cannot be read: %s", name,
				 last_reason());
	return 0;
}

/* --- PKCS#12 -----------------------------------------------------------------------------------
 */

/* A key or certificate must not outlive the library context that it was read in. */
static int copy_into(struct contents *ret, EVP_PKEY *key, X509 *certificate,
		     const STACK_OF(X509) * others, struct error *err)
{
	unsigned char *der = NULL;
	int n = others ? sk_X509_num(others) : 0;

	for (int i = certificate ? -1 : 0; i < n; i++) {
		int len = i2d_X509(i < 0 ? certificate : sk_X509_value(others, i), &der);
		const unsigned char *at = der;
		X509 *copy = len > 0 ? d2i_X509(NULL, &at, len) : NULL;

		OPENSSL_free(TAKE(der));
		if (!copy || sk_X509_push(ret->certificates, copy) == 0) {
			X509_free(copy);
			return error_oom(err);
		}
	}
	if (key) {
		int len = i2d_PrivateKey(key, &der);
		const unsigned char *at = der;

		ret->key = len > 0 ? d2i_AutoPrivateKey(NULL, &at, len) : NULL;
		OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
		if (!ret->key)
			return error_oom(err);
	}
	return 0;
}

/* An empty pass phrase is written in two ways. */
static bool find_pass_phrase(PKCS12 *store, const char **pass)
{
	if (!PKCS12_mac_present(store) || PKCS12_verify_mac(store, *pass, -1) == 1)
		return true;
	if (*pass && **pass)
		return false;
	*pass = *pass ? NULL : "";
	return PKCS12_verify_mac(store, *pass, -1) == 1;
}

static int parse_pkcs12(const struct buf *bytes, const char *name, const char *pass,
			OSSL_LIB_CTX *library, struct contents *ret, struct error *err)
{
	AUTO(bio_p) BIO *bio = BIO_new_mem_buf(bytes->data, (int)bytes->len);
	AUTO(pkcs12_p) PKCS12 *store = PKCS12_init_ex(NID_pkcs7_data, library, NULL);
	STACK_OF(X509) *others = NULL;
	X509 *certificate = NULL;
	EVP_PKEY *key = NULL;
	int result;

	if (!bio || !store)
		return error_oom(err);
	if (!d2i_PKCS12_bio(bio, &store))
		return error_set(err, ERR_CONFIG, "%s: this is neither PEM nor PKCS#12", name);
	if (!find_pass_phrase(store, &pass))
		return error_set(err, ERR_CONFIG, "%s: %s", name,
				 pass && *pass ? "the pass phrase does not open it"
					       : "it needs a pass phrase, and none is set");
	if (PKCS12_parse(store, pass, &key, &certificate, &others) != 1)
		return error_set(
			err, ERR_CONFIG,
			"%s: it cannot be opened: %s. If it was made with ciphers that are no "
			"longer used (RC2, 3DES), make it anew: openssl pkcs12 -legacy -in OLD "
			"-out ALL.pem, then openssl pkcs12 -export -in ALL.pem -out NEW",
			name, last_reason());
	result = copy_into(ret, key, certificate, others, err);
	EVP_PKEY_free(key);
	X509_free(certificate);
	sk_X509_pop_free(others, X509_free);
	return result;
}

/* The ciphers of old keytools are in a provider of their own. It is let into a library context that
 * serves for this file alone, so that nothing else comes to use them. */
static int read_pkcs12(const struct buf *bytes, const char *name, const char *pass,
		       struct contents *ret, struct error *err)
{
	OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
	OSSL_PROVIDER *current = library ? OSSL_PROVIDER_load(library, "default") : NULL;
	OSSL_PROVIDER *legacy = library ? OSSL_PROVIDER_load(library, "legacy") : NULL;
	int result = current ? parse_pkcs12(bytes, name, pass, library, ret, err) : error_oom(err);

	if (legacy)
		(void)OSSL_PROVIDER_unload(legacy);
	if (current)
		(void)OSSL_PROVIDER_unload(current);
	OSSL_LIB_CTX_free(library);
	return result;
}

/* --- a file ------------------------------------------------------------------------------------
 */

static bool begins_with(const struct buf *bytes, const char *magic)
{
	return bytes->len >= 4 && memcmp(bytes->data, magic, 4) == 0;
}

static int refuse_java(const char *name, const char *options, struct error *err)
{
	return error_set(
		err, ERR_CONFIG,
		"%s is a Java key store, which only Java reads. Convert it: keytool "
		"-importkeystore %s-srckeystore %s -destkeystore %s.p12 -deststoretype pkcs12",
		name, options, name, name);
}

static int read_contents(const struct buf *bytes, const char *name, const char *pass,
			 struct contents *ret, struct error *err)
{
	int result;

	if (begins_with(bytes, "\xfe\xed\xfe\xed"))
		return refuse_java(name, "", err);
	if (begins_with(bytes, "\xce\xce\xce\xce"))
		return refuse_java(name, "-srcstoretype jceks ", err);
	if (bytes->len == 0)
		return error_set(err, ERR_CONFIG, "%s is empty", name);
	result = memmem(bytes->data, bytes->len, "-----BEGIN ", 11)
			 ? read_pem(bytes, name, pass, ret, err)
			 : read_pkcs12(bytes, name, pass, ret, err);
	ERR_clear_error();
	return result;
}

static int read_file(const char *path, const char *pass, struct contents *ret, struct error *err)
{
	AUTO(buf_done) struct buf bytes = {0};
	int result = file_read(path, KEY_STORE_MAX_BYTES, &bytes, err);

	if (result == 0)
		result = read_contents(&bytes, path, pass, ret, err);
	if (bytes.data)
		OPENSSL_cleanse(bytes.data, bytes.capacity);
	return result;
}

/* The order in a file means nothing: the certificate is the one that fits the key. */
static int take_identity(struct contents *c, const char *name, struct tls_identity *ret,
			 struct error *err)
{
	AUTO(identity_p) struct tls_identity identity = {0};

	if (!c->key)
		return error_set(err, ERR_CONFIG, "%s: there is no private key", name);
	if (sk_X509_num(c->certificates) == 0)
		return error_set(err, ERR_CONFIG, "%s: there is no certificate", name);
	for (int i = 0; i < sk_X509_num(c->certificates) && !identity.certificate; i++) {
		if (X509_check_private_key(sk_X509_value(c->certificates, i), c->key) == 1)
			identity.certificate = sk_X509_delete(c->certificates, i);
	}
	ERR_clear_error();
	if (!identity.certificate)
		return error_set(err, ERR_CONFIG,
				 "%s: the private key belongs to none of the certificates", name);
	identity.key = TAKE(c->key);
	identity.chain = TAKE(c->certificates);
	*ret = identity;
	identity = (struct tls_identity){0};
	return 0;
}

int key_store_load(const char *files, const char *pass, struct tls_identity *ret, struct error *err)
{
	AUTO(contents_done) struct contents c = {.certificates = sk_X509_new_null()};
	AUTO(free_p) char *copy = strdup(files);
	char *rest = copy;

	if (!c.certificates || !copy)
		return error_oom(err);
	for (char *path; (path = strsep(&rest, ","));) {
		path += strspn(path, " \t");
		if (read_file(path, pass, &c, err) < 0)
			return -1;
	}
	return take_identity(&c, files, ret, err);
}

int key_store_load_authorities(const char *file, const char *pass, X509_STORE **ret,
			       struct error *err)
{
	AUTO(contents_done) struct contents c = {.certificates = sk_X509_new_null()};
	X509_STORE *store;
	bool ok;

	if (!c.certificates)
		return error_oom(err);
	if (read_file(file, pass, &c, err) < 0)
		return -1;
	if (sk_X509_num(c.certificates) == 0)
		return error_set(err, ERR_CONFIG, "%s: there is no certificate", file);
	store = X509_STORE_new();
	ok = store && X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
	for (int i = 0; ok && i < sk_X509_num(c.certificates); i++)
		ok = X509_STORE_add_cert(store, sk_X509_value(c.certificates, i)) == 1;
	if (!ok) {
		X509_STORE_free(store);
		ERR_clear_error();
		return error_set(err, ERR_CONFIG, "%s: the certificates cannot be used", file);
	}
	*ret = store;
	return 0;
}
