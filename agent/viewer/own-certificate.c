#include "agent/viewer/own-certificate.h"

#include <openssl/x509v3.h>
#include <string.h>

#include "agent/inventory.h"
#include "common/buf.h"
#include "common/certificate.h"
#include "common/cleanup.h"
#include "common/file.h"

#define CERTIFICATE "viewer.pem"
#define KEY "viewer.key"
#define LIFE_DAYS 397 /* what browsers bear */
#define LEFT_LEAST_S (30LL * 86400)

/* What browsers may call this host. */
static char *find_names(const struct agent_config *config, struct error *err)
{
	char hostname[256], address[64];
	struct buf names = {0};

	inventory_hostname(hostname, sizeof(hostname));
	inventory_address(config->preferred_network_interface, address, sizeof(address));
	if (buf_printf(&names, err, "DNS:%s,DNS:localhost,IP:127.0.0.1", hostname) < 0 ||
	    (address[0] && strcmp(address, "127.0.0.1") != 0 &&
	     buf_printf(&names, err, ",IP:%s", address) < 0)) {
		buf_done(&names);
		return NULL;
	}
	return buf_steal(&names);
}

/* NULL without an error: there is none that is good. */
static X509 *read_own(const struct certificate_terms *terms, EVP_PKEY *key, struct error *err)
{
	AUTO(x509_all_p)
	STACK_OF(X509) *all = certificate_read_all(terms->folder, CERTIFICATE, err);
	X509 *certificate = all ? sk_X509_value(all, 0) : NULL;

	if (!certificate || X509_check_private_key(certificate, key) != 1 ||
	    certificate_left_s(certificate) < LEFT_LEAST_S ||
	    !certificate_names_are(certificate, terms->names))
		return NULL;
	X509_up_ref(certificate);
	return certificate;
}

static X509 *make_own(const struct certificate_terms *terms, EVP_PKEY *key, struct error *err)
{
	const struct certificate_extension extensions[] = {
		{NID_basic_constraints, "critical,CA:FALSE"},
		{NID_key_usage, "critical,digitalSignature"},
		{NID_ext_key_usage, "serverAuth"},
		{NID_subject_alt_name, terms->names},
		{0, NULL},
	};
	AUTO(x509_all_p) STACK_OF(X509) *all = sk_X509_new_null();
	X509 *certificate;

	if (!all) {
		(void)error_oom(err);
		return NULL;
	}
	certificate = certificate_new(terms, key, CERTIFICATE_OF_VIEWER, LIFE_DAYS, extensions,
				      NULL, key, err);
	if (!certificate || !sk_X509_push(all, certificate))
		return NULL;
	if (certificate_write_all(terms->folder, CERTIFICATE, all, err) < 0)
		return NULL;
	X509_up_ref(certificate);
	return certificate;
}

EVP_PKEY *own_certificate_key(const char *folder, struct error *err)
{
	const struct certificate_terms terms = {.folder = folder};
	AUTO(key_p) EVP_PKEY *key = NULL;

	if (file_make_folder(folder, 0700, err) < 0)
		return NULL;
	key = certificate_read_key(folder, KEY, err);
	if (key)
		return TAKE(key);
	key = certificate_key_new(&terms, 0, err);
	if (!key || certificate_write_key(folder, KEY, key, err) < 0)
		return NULL;
	return TAKE(key);
}

X509 *own_certificate_get(const struct agent_config *config, const char *folder, EVP_PKEY *key,
			  struct error *err)
{
	AUTO(free_p) char *names = find_names(config, err);
	const struct certificate_terms terms = {.folder = folder, .names = names, .day_ms = DAY_MS};
	X509 *certificate = names ? read_own(&terms, key, err) : NULL;

	return certificate || !names ? certificate : make_own(&terms, key, err);
}
