#include "broker-lite/certificate.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"

#define AUTHORITY_DAYS 3650
#define LISTENER_DAYS 397
#define PEM_MAX_BYTES 65536
#define CLOCK_MARGIN_S 86400L /* agents whose clock is behind ours */

static void x509_p(X509 **certificate)
{
	X509_free(*certificate);
}

static void key_p(EVP_PKEY **key)
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

/* --- names -------------------------------------------------------------------------------------
 */

static bool has_name(const struct buf *names, const char *entry)
{
	size_t len = strlen(entry);

	for (const char *p = names->data; p && *p; p += strcspn(p, ","), p += *p == ',') {
		if (strncmp(p, entry, len) == 0 && (p[len] == ',' || p[len] == '\0'))
			return true;
	}
	return false;
}

/* What is neither an address nor a plain host name is left out, so that no name can bring a comma
 * or another kind of name with it. */
static int add_name(struct buf *names, const char *name, struct error *err)
{
	unsigned char address[sizeof(struct in6_addr)];
	bool is_address = inet_pton(AF_INET, name, address) == 1 ||
			  inet_pton(AF_INET6, name, address) == 1;
	char entry[300];

	if (!is_address && (name[0] == '\0' || strlen(name) > 253 ||
			    name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					      "0123456789.-_*")]))
		return 0;
	(void)snprintf(entry, sizeof(entry), "%s:%s", is_address ? "IP" : "DNS", name);
	if (has_name(names, entry))
		return 0;
	return buf_printf(names, err, "%s%s", names->len > 0 ? "," : "", entry);
}

static int add_host_name(struct buf *names, struct error *err)
{
	static const struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM};
	char name[256] = "";
	struct addrinfo *found = NULL;
	int result;

	if (gethostname(name, sizeof(name) - 1) < 0)
		return error_errno(err, "gethostname");
	result = add_name(names, name, err);
	if (result == 0 && getaddrinfo(name, NULL, &hints, &found) == 0) {
		if (found->ai_canonname)
			result = add_name(names, found->ai_canonname, err);
		freeaddrinfo(found);
	}
	name[strcspn(name, ".")] = '\0';
	return result < 0 ? -1 : add_name(names, name, err);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Sorted, because the order in which the kernel tells them is no difference. */
static int add_addresses(struct buf *names, struct error *err)
{
	enum { ADDRESSES_MAX = 64 };
	char texts[ADDRESSES_MAX][INET6_ADDRSTRLEN];
	struct ifaddrs *all = NULL;
	size_t n = 0;

	if (getifaddrs(&all) < 0)
		return error_errno(err, "getifaddrs");
	for (const struct ifaddrs *a = all; a && n < ADDRESSES_MAX; a = a->ifa_next) {
		const void *address = NULL;
		int family = a->ifa_addr ? a->ifa_addr->sa_family : AF_UNSPEC;

		if (a->ifa_flags & IFF_LOOPBACK)
			continue;
		if (family == AF_INET)
			address = &((const struct sockaddr_in *)(void *)a->ifa_addr)->sin_addr;
		if (family == AF_INET6)
			address = &((const struct sockaddr_in6 *)(void *)a->ifa_addr)->sin6_addr;
		if (address && inet_ntop(family, address, texts[n], INET6_ADDRSTRLEN))
			n++;
	}
	freeifaddrs(all);
	qsort(texts, n, sizeof(texts[0]), compare_texts);
	for (size_t i = 0; i < n; i++) {
		if (add_name(names, texts[i], err) < 0)
			return -1;
	}
	return 0;
}

int certificate_host_names(const char *extra, struct buf *ret, struct error *err)
{
	AUTO(free_p) char *list = strdup(extra ? extra : "");
	char *rest = list;

	if (!list)
		return error_oom(err);
	if (add_host_name(ret, err) < 0 || add_name(ret, "localhost", err) < 0 ||
	    add_addresses(ret, err) < 0 || add_name(ret, "127.0.0.1", err) < 0 ||
	    add_name(ret, "::1", err) < 0)
		return -1;
	for (char *name; (name = strsep(&rest, ", \t"));) {
		if (add_name(ret, name, err) < 0)
			return -1;
	}
	return 0;
}

/* --- files -------------------------------------------------------------------------------------
 */

static char *join(const char *folder, const char *name, struct error *err)
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
	AUTO(free_p) char *path = join(folder, name, err);

	if (!path || access(path, F_OK) < 0)
		return NULL;
	return BIO_new_file(path, "r");
}

static X509 *read_certificate(const char *folder, const char *name, struct error *err)
{
	AUTO(bio_p) BIO *bio = open_file(folder, name, err);

	return bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
}

static EVP_PKEY *read_key(const char *folder, const char *name, struct error *err)
{
	AUTO(bio_p) BIO *bio = open_file(folder, name, err);

	return bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
}

static int write_bio(const char *folder, const char *name, BIO *bio, mode_t mode, struct error *err)
{
	AUTO(free_p) char *path = join(folder, name, err);
	char *bytes = NULL;
	long len = BIO_get_mem_data(bio, &bytes);

	if (!path)
		return -1;
	return file_write_atomic(path, bytes, (size_t)len, mode, err);
}

/* The key first: a certificate is only believed to be there when its key is. */
static int write_pair(const char *folder, const char *certificate_name, X509 *certificate,
		      const char *key_name, EVP_PKEY *key, struct error *err)
{
	AUTO(bio_p) BIO *key_text = BIO_new(BIO_s_mem());
	AUTO(bio_p) BIO *certificate_text = BIO_new(BIO_s_mem());

	if (!key_text || !certificate_text ||
	    PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    PEM_write_bio_X509(certificate_text, certificate) != 1)
		return ssl_error(err, "write a certificate");
	if (write_bio(folder, key_name, key_text, 0600, err) < 0)
		return -1;
	return write_bio(folder, certificate_name, certificate_text, 0644, err);
}

/* --- making ------------------------------------------------------------------------------------
 */

static int add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;
	int added;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
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

/* A certificate with everything but its extensions and its signature. An hour into the past, for
 * clocks that differ. */
static X509 *begin_certificate(EVP_PKEY *key, const char *common_name, int days)
{
	X509 *certificate = X509_new();
	X509_NAME *name = certificate ? X509_get_subject_name(certificate) : NULL;

	if (!certificate || X509_set_version(certificate, X509_VERSION_3) != 1 ||
	    set_serial(certificate) < 0 || X509_set_pubkey(certificate, key) != 1 ||
	    !X509_gmtime_adj(X509_getm_notBefore(certificate), -CLOCK_MARGIN_S) ||
	    !X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, NULL) ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
				       (const unsigned char *)common_name, -1, -1, 0) != 1) {
		X509_free(certificate);
		return NULL;
	}
	return certificate;
}

static int make_authority(const char *folder, X509 **ret, EVP_PKEY **ret_key, struct error *err)
{
	AUTO(key_p) EVP_PKEY *key = EVP_EC_gen("P-256");
	char host[65] = "", name[64 + 32];
	AUTO(x509_p) X509 *certificate = NULL;

	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(name, sizeof(name), "session manager broker %.40s", host);
	if (key)
		certificate = begin_certificate(key, name, AUTHORITY_DAYS);
	if (!certificate ||
	    X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) != 1 ||
	    add_extension(certificate, certificate, NID_basic_constraints,
			  "critical,CA:TRUE,pathlen:0") < 0 ||
	    add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") <
		    0 ||
	    add_extension(certificate, certificate, NID_subject_key_identifier, "hash") < 0 ||
	    X509_sign(certificate, key, EVP_sha256()) == 0)
		return ssl_error(err, "make the authority");
	if (write_pair(folder, CERTIFICATE_AUTHORITY_FILE, certificate,
		       CERTIFICATE_AUTHORITY_KEY_FILE, key, err) < 0)
		return -1;
	log_info("authority made (file=%s/%s, days=%d)", folder, CERTIFICATE_AUTHORITY_FILE,
		 AUTHORITY_DAYS);
	*ret = TAKE(certificate);
	*ret_key = TAKE(key);
	return 0;
}

static int make_listener(const char *folder, const char *names, X509 *authority,
			 EVP_PKEY *authority_key, struct error *err)
{
	AUTO(key_p) EVP_PKEY *key = EVP_EC_gen("P-256");
	AUTO(x509_p) X509 *certificate = NULL;

	if (key)
		certificate = begin_certificate(key, "session manager broker", LISTENER_DAYS);
	if (!certificate ||
	    X509_set_issuer_name(certificate, X509_get_subject_name(authority)) != 1 ||
	    add_extension(certificate, authority, NID_basic_constraints, "critical,CA:FALSE") < 0 ||
	    add_extension(certificate, authority, NID_key_usage, "critical,digitalSignature") < 0 ||
	    add_extension(certificate, authority, NID_ext_key_usage, "serverAuth,clientAuth") < 0 ||
	    add_extension(certificate, authority, NID_subject_alt_name, names) < 0 ||
	    add_extension(certificate, authority, NID_authority_key_identifier, "keyid") < 0 ||
	    X509_sign(certificate, authority_key, EVP_sha256()) == 0)
		return ssl_error(err, "make the listener's certificate");
	if (write_pair(folder, CERTIFICATE_LISTENER_FILE, certificate,
		       CERTIFICATE_LISTENER_KEY_FILE, key, err) < 0)
		return -1;
	log_info("listener certificate made (names=%s, days=%d)", names, LISTENER_DAYS);
	return 0;
}

/* --- judging what is there ---------------------------------------------------------------------
 */

static bool has_third_of_life_left(const X509 *certificate)
{
	int days = 0, seconds = 0;

	if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)))
		return false;
	return days >= LISTENER_DAYS / 3;
}

/* Compared as encoded: the same text makes the same bytes. */
static bool names_are(X509 *certificate, const char *names)
{
	int at = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1);
	X509_EXTENSION *wanted = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	bool same = at >= 0 && wanted &&
		    ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(X509_get_ext(certificate, at)),
					  X509_EXTENSION_get_data(wanted)) == 0;

	X509_EXTENSION_free(wanted);
	return same;
}

static bool listener_is_good(const char *folder, const char *names, EVP_PKEY *authority_key,
			     struct error *err)
{
	AUTO(x509_p) X509 *certificate = read_certificate(folder, CERTIFICATE_LISTENER_FILE, err);
	AUTO(key_p) EVP_PKEY *key = read_key(folder, CERTIFICATE_LISTENER_KEY_FILE, err);

	return certificate && key && X509_check_private_key(certificate, key) == 1 &&
	       X509_verify(certificate, authority_key) == 1 &&
	       has_third_of_life_left(certificate) && names_are(certificate, names);
}

static int open_authority(const char *folder, X509 **ret, EVP_PKEY **ret_key, struct error *err)
{
	AUTO(x509_p) X509 *certificate = read_certificate(folder, CERTIFICATE_AUTHORITY_FILE, err);
	AUTO(key_p) EVP_PKEY *key = read_key(folder, CERTIFICATE_AUTHORITY_KEY_FILE, err);
	AUTO(free_p) char *path = join(folder, CERTIFICATE_AUTHORITY_FILE, err);

	if (!path)
		return -1;
	/* A key alone is what a crash in the middle left: nobody trusts it yet. A certificate that
	 * agents trust is never replaced by guessing. */
	if (!certificate && access(path, F_OK) < 0)
		return make_authority(folder, ret, ret_key, err);
	if (!certificate || !key || X509_check_private_key(certificate, key) != 1) {
		ERR_clear_error();
		return error_set(err, ERR_CONFIG, "%s and %s do not belong together", path,
				 CERTIFICATE_AUTHORITY_KEY_FILE);
	}
	*ret = TAKE(certificate);
	*ret_key = TAKE(key);
	return 0;
}

int certificate_prepare(const char *folder, const char *names, struct error *err)
{
	AUTO(x509_p) X509 *authority = NULL;
	AUTO(key_p) EVP_PKEY *key = NULL;
	bool is_good;

	if (open_authority(folder, &authority, &key, err) < 0)
		return -1;
	is_good = listener_is_good(folder, names, key, err);
	ERR_clear_error();
	return is_good ? 0 : make_listener(folder, names, authority, key, err);
}
