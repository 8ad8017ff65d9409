#include "common/certificate-request.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/certificate.h"
#include "common/cleanup.h"
#include "common/subject-names.h"
#include "common/text.h"

#define CURVE "prime256v1"

typedef STACK_OF(X509_EXTENSION) x509_extensions;

static void x509_req_p(X509_REQ **request)
{
	X509_REQ_free(*request);
}

static void extensions_p(x509_extensions **extensions)
{
	sk_X509_EXTENSION_pop_free(*extensions, X509_EXTENSION_free);
}

static void general_names_p(GENERAL_NAMES **names)
{
	GENERAL_NAMES_free(*names);
}

/* --- making ------------------------------------------------------------------------------------
 */

static bool add_names(X509_REQ *request, const char *names)
{
	AUTO(extensions_p) x509_extensions *extensions = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

	if (!extensions || !extension || sk_X509_EXTENSION_push(extensions, extension) == 0) {
		X509_EXTENSION_free(extension);
		return false;
	}
	return X509_REQ_add_extensions(request, extensions) == 1;
}

int certificate_request_append(EVP_PKEY *key, const char *names, struct buf *ret, struct error *err)
{
	AUTO(x509_req_p) X509_REQ *request = X509_REQ_new();
	unsigned char *bytes = NULL;
	int len = -1, result;

	if (request && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
	    X509_REQ_set_pubkey(request, key) == 1 && add_names(request, names) &&
	    X509_REQ_sign(request, key, EVP_sha256()) > 0)
		len = i2d_X509_REQ(request, &bytes);
	ERR_clear_error();
	if (len < 0)
		return error_set(err, ERR_SYSTEM, "cannot make a certificate request");
	result = base64_append(ret, bytes, (size_t)len, err);
	OPENSSL_free(bytes);
	return result;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static X509_REQ *decode(const char *text, struct error *err)
{
	AUTO(buf_done) struct buf bytes = {0};
	AUTO(x509_req_p) X509_REQ *request = NULL;
	const unsigned char *at;

	if (strlen(text) > CERTIFICATE_REQUEST_MAX_CHARACTERS) {
		(void)error_set(err, ERR_TOO_LARGE, "it is longer than %d characters",
				CERTIFICATE_REQUEST_MAX_CHARACTERS);
		return NULL;
	}
	if (base64_decode(text, &bytes, err) < 0)
		return NULL;
	at = (const unsigned char *)bytes.data;
	request = at ? d2i_X509_REQ(NULL, &at, (long)bytes.len) : NULL;
	if (!request || at != (const unsigned char *)bytes.data + bytes.len) {
		(void)error_set(err, ERR_INVALID, "it is no PKCS#10 request");
		return NULL;
	}
	return TAKE(request);
}

static int read_key(X509_REQ *request, EVP_PKEY **ret, struct error *err)
{
	AUTO(key_p) EVP_PKEY *key = X509_REQ_get_pubkey(request);
	char curve[32] = "";

	if (!key || EVP_PKEY_is_a(key, "EC") != 1 ||
	    EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) != 1 ||
	    strcmp(curve, CURVE) != 0)
		return error_set(err, ERR_INVALID, "its key is not of the curve P-256");
	if (X509_REQ_verify(request, key) != 1)
		return error_set(err, ERR_INVALID, "it is not signed by its own key");
	*ret = TAKE(key);
	return 0;
}

/* As text; false: of another kind, or no text. */
static bool read_name(const GENERAL_NAME *name, char ret[SUBJECT_NAME_SIZE])
{
	const ASN1_STRING *value;
	int kind, len;

	value = GENERAL_NAME_get0_value(name, &kind);
	if (kind != GEN_DNS && kind != GEN_IPADD)
		return false;
	len = ASN1_STRING_length(value);
	if (kind == GEN_IPADD && (len == 4 || len == 16))
		return inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), ret,
				 SUBJECT_NAME_SIZE) != NULL;
	if (kind != GEN_DNS || len <= 0 || len >= SUBJECT_NAME_SIZE)
		return false;
	memcpy(ret, ASN1_STRING_get0_data(value), (size_t)len);
	ret[len] = '\0';
	return strlen(ret) == (size_t)len;
}

static int add_name(const GENERAL_NAME *name, struct buf *names, struct error *err)
{
	char text[SUBJECT_NAME_SIZE];

	if (!read_name(name, text) || !subject_name_is_of_host(text))
		return error_set(err, ERR_INVALID, "it has a name that no host can have");
	return subject_names_add(names, text, err);
}

static int read_names(X509_REQ *request, char **ret, struct error *err)
{
	AUTO(extensions_p) x509_extensions *extensions = X509_REQ_get_extensions(request);
	AUTO(general_names_p)
	GENERAL_NAMES *all = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	AUTO(buf_done) struct buf names = {0};

	if (!all || sk_GENERAL_NAME_num(all) == 0)
		return error_set(err, ERR_INVALID, "it has no names");
	if (sk_GENERAL_NAME_num(all) > CERTIFICATE_REQUEST_MAX_NAMES)
		return error_set(err, ERR_INVALID, "it has more than %d names",
				 CERTIFICATE_REQUEST_MAX_NAMES);
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		if (add_name(sk_GENERAL_NAME_value(all, i), &names, err) < 0)
			return -1;
	}
	*ret = buf_steal(&names);
	return *ret ? 0 : error_oom(err);
}

int certificate_request_read(const char *text, struct certificate_request *ret, struct error *err)
{
	struct certificate_request request = {0};
	AUTO(x509_req_p) X509_REQ *decoded = decode(text, err);
	int result = -1;

	if (decoded && read_names(decoded, &request.names, err) == 0)
		result = read_key(decoded, &request.key, err);
	ERR_clear_error();
	if (result < 0) {
		certificate_request_done(&request);
		return error_prefix(err, "the certificate request is refused");
	}
	*ret = request;
	return 0;
}

void certificate_request_done(struct certificate_request *request)
{
	EVP_PKEY_free(request->key);
	free(request->names);
	*request = (struct certificate_request){0};
}
