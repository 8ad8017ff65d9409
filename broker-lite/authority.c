#include "broker-lite/authority.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/text.h"

#define AUTHORITY_DAYS 3650
#define AUTHORITY_RENEWAL_DAYS 180 /* of life left, when the next one is made */
#define AUTHORITY_NOTICE_DAYS 30   /* from then on until it signs */
#define AUTHORITY_RSA_BITS 3072
#define LISTENER_RSA_BITS 2048 /* every handshake signs with it */
#define LISTENER_DAYS 397
#define LISTENER_RENEWAL_DAYS 30

/* Authorities that are published, oldest first, each with its key. Two at most. */
struct authorities {
	STACK_OF(X509) * certificates;
	EVP_PKEY *keys[2];
	unsigned events; /* enum authority_event */
};

static void authorities_done(struct authorities *a)
{
	sk_X509_pop_free(a->certificates, X509_free);
	EVP_PKEY_free(a->keys[0]);
	EVP_PKEY_free(a->keys[1]);
}

void authority_state_done(struct authority_state *state)
{
	tls_identity_done(&state->listener);
	sk_X509_pop_free(state->authorities, X509_free);
	*state = (struct authority_state){0};
}

static X509 *nth(const struct authorities *a, int i)
{
	return sk_X509_value(a->certificates, i);
}

/* --- reading -----------------------------------------------------------------------------------
 */

/* Which key is whose is not told by the name of its file: a crash may have come between the steps
 * of drop_expired(). */
static int match_keys(const char *folder, struct authorities *a, struct error *err)
{
	AUTO(key_p) EVP_PKEY *key = certificate_read_key(folder, AUTHORITY_KEY_FILE, err);
	AUTO(key_p) EVP_PKEY *next = certificate_read_key(folder, AUTHORITY_NEXT_KEY_FILE, err);
	EVP_PKEY *both[] = {key, next};

	for (int i = 0; i < sk_X509_num(a->certificates); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(both) && !a->keys[i]; j++) {
			if (both[j] && X509_check_private_key(nth(a, i), both[j]) == 1 &&
			    EVP_PKEY_up_ref(both[j]) == 1)
				a->keys[i] = both[j];
		}
		ERR_clear_error();
		if (!a->keys[i])
			return error_set(
				err, ERR_CONFIG,
				"%s/%s and %s do not belong together: restore the key from a "
				"backup, or remove both and hand out the new authority",
				folder, AUTHORITY_FILE, AUTHORITY_KEY_FILE);
	}
	return 0;
}

static int read_authorities(const char *folder, struct authorities *ret, struct error *err)
{
	AUTO(free_p) char *path = certificate_path(folder, AUTHORITY_FILE, err);
	int n;

	ret->certificates = certificate_read_all(folder, AUTHORITY_FILE, err);
	if (!path || !ret->certificates)
		return -1;
	n = sk_X509_num(ret->certificates);
	/* A key alone is what a crash in the middle left: nobody trusts it yet. */
	if (n == 0 && access(path, F_OK) < 0)
		return 0;
	if (n == 0 || n > (int)ARRAY_SIZE(ret->keys))
		return error_set(err, ERR_CONFIG, "%s must hold one certificate, or two: it has %d",
				 path, n);
	return match_keys(folder, ret, err);
}

/* --- from one to the next ----------------------------------------------------------------------
 */

/* The key first: a certificate is only believed to be there when its key is. */
static int add_authority(const struct certificate_terms *terms, struct authorities *a,
			 struct error *err)
{
	static const struct certificate_extension extensions[] = {
		{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
		{NID_key_usage, "critical,keyCertSign,cRLSign"},
		{NID_subject_key_identifier, "hash"},
		{0, NULL},
	};
	AUTO(key_p) EVP_PKEY *key = certificate_key_new(terms, AUTHORITY_RSA_BITS, err);
	AUTO(x509_p) X509 *certificate = NULL;
	int n = sk_X509_num(a->certificates);
	char host[65] = "", mark[9], name[64];

	/* Each has a name of its own, by which programs find the one that has signed. */
	random_text(mark, sizeof(mark) - 1);
	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(name, sizeof(name), "session manager broker %.30s %s", host, mark);
	if (key)
		certificate = certificate_new(terms, key, name, AUTHORITY_DAYS, extensions, NULL,
					      key, err);
	if (!certificate)
		return -1;
	if (sk_X509_push(a->certificates, certificate) == 0)
		return error_oom(err);
	certificate = NULL;
	a->keys[n] = TAKE(key);
	if (certificate_write_key(terms->folder, n ? AUTHORITY_NEXT_KEY_FILE : AUTHORITY_KEY_FILE,
				  a->keys[n], err) < 0 ||
	    certificate_write_all(terms->folder, AUTHORITY_FILE, a->certificates, err) < 0)
		return -1;
	a->events |= n == 0 ? AUTHORITY_MADE : AUTHORITY_FOLLOWED;
	return 0;
}

static int rename_next_key(const char *folder, struct error *err)
{
	AUTO(free_p) char *from = certificate_path(folder, AUTHORITY_NEXT_KEY_FILE, err);
	AUTO(free_p) char *to = certificate_path(folder, AUTHORITY_KEY_FILE, err);

	if (!from || !to)
		return -1;
	return rename(from, to) < 0 ? error_errno(err, "%s", to) : 0;
}

static int drop_expired(const struct certificate_terms *terms, struct authorities *a,
			struct error *err)
{
	if (sk_X509_num(a->certificates) < 2 || certificate_left_s(nth(a, 0)) > 0)
		return 0;
	X509_free(sk_X509_shift(a->certificates));
	EVP_PKEY_free(a->keys[0]);
	a->keys[0] = TAKE(a->keys[1]);
	if (certificate_write_all(terms->folder, AUTHORITY_FILE, a->certificates, err) < 0)
		return -1;
	a->events |= AUTHORITY_DROPPED;
	return rename_next_key(terms->folder, err);
}

/* Was drop_expired() interrupted? Its last step is made up for. */
static int mend_key_file(const char *folder, const struct authorities *a, struct error *err)
{
	AUTO(key_p) EVP_PKEY *key = NULL;

	if (sk_X509_num(a->certificates) != 1)
		return 0;
	key = certificate_read_key(folder, AUTHORITY_KEY_FILE, err);
	if (key && EVP_PKEY_eq(key, a->keys[0]) == 1)
		return 0;
	return rename_next_key(folder, err);
}

static int open_authorities(const struct certificate_terms *terms, struct authorities *ret,
			    struct error *err)
{
	long long renewal_s = certificate_days_s(terms, AUTHORITY_RENEWAL_DAYS);
	int n;

	if (read_authorities(terms->folder, ret, err) < 0 ||
	    mend_key_file(terms->folder, ret, err) < 0)
		return -1;
	n = sk_X509_num(ret->certificates);
	if ((n == 0 || (n == 1 && certificate_left_s(nth(ret, 0)) < renewal_s)) &&
	    add_authority(terms, ret, err) < 0)
		return -1;
	return drop_expired(terms, ret, err);
}

/* Whose turn is it to sign? */
static int signing(const struct certificate_terms *terms, const struct authorities *a)
{
	return sk_X509_num(a->certificates) == 2 &&
	       certificate_age_s(nth(a, 1)) >= certificate_days_s(terms, AUTHORITY_NOTICE_DAYS);
}

/* --- the listener's ----------------------------------------------------------------------------
 */

static bool has_signed(const struct authorities *a, X509 *certificate)
{
	for (int i = 0; i < sk_X509_num(a->certificates); i++) {
		if (X509_verify(certificate, a->keys[i]) == 1)
			return true;
	}
	return false;
}

/* One that ends with its authority would not live longer if it were made anew. */
static bool lives_on(const struct certificate_terms *terms, const struct authorities *a,
		     const X509 *certificate)
{
	long long least_s = certificate_days_s(terms, LISTENER_DAYS) / 3;
	long long left_s = certificate_left_s(certificate);

	if (least_s < certificate_days_s(terms, LISTENER_RENEWAL_DAYS))
		least_s = certificate_days_s(terms, LISTENER_RENEWAL_DAYS);
	return left_s > 0 &&
	       (left_s >= least_s || left_s >= certificate_left_s(nth(a, signing(terms, a))));
}

/* NULL certificate: there is none that can be used. */
static void read_listener(const struct certificate_terms *terms, const struct authorities *a,
			  struct tls_identity *ret)
{
	struct error ignored;
	AUTO(x509_all_p)
	STACK_OF(X509) *all = certificate_read_all(terms->folder, LISTENER_FILE, &ignored);
	AUTO(key_p)
	EVP_PKEY *key = certificate_read_key(terms->folder, LISTENER_KEY_FILE, &ignored);
	X509 *certificate = sk_X509_value(all, 0);

	if (certificate && key && X509_check_private_key(certificate, key) == 1 &&
	    EVP_PKEY_is_a(key, terms->is_rsa ? "RSA" : "EC") == 1 && has_signed(a, certificate) &&
	    lives_on(terms, a, certificate) && certificate_names_are(certificate, terms->names)) {
		ret->certificate = sk_X509_shift(all);
		ret->key = TAKE(key);
	}
	ERR_clear_error();
}

static int make_listener(const struct certificate_terms *terms, struct authorities *a,
			 struct tls_identity *ret, struct error *err)
{
	const struct certificate_extension extensions[] = {
		{NID_basic_constraints, "critical,CA:FALSE"},
		/* RSA keys are only signed with, too: suites that encrypt to them are not spoken. */
		{NID_key_usage, "critical,digitalSignature"},
		{NID_ext_key_usage, "serverAuth,clientAuth"},
		{NID_subject_alt_name, terms->names},
		{NID_authority_key_identifier, "keyid"},
		{0, NULL},
	};
	AUTO(x509_all_p) STACK_OF(X509) *all = sk_X509_new_null();
	AUTO(key_p) EVP_PKEY *key = certificate_key_new(terms, LISTENER_RSA_BITS, err);
	int by = signing(terms, a);
	X509 *certificate;

	if (!key)
		return -1;
	certificate = certificate_new(terms, key, "session manager broker", LISTENER_DAYS,
				      extensions, nth(a, by), a->keys[by], err);
	if (!certificate)
		return -1;
	if (sk_X509_push(all, certificate) == 0) {
		X509_free(certificate);
		return error_oom(err);
	}
	if (certificate_write_key(terms->folder, LISTENER_KEY_FILE, key, err) < 0 ||
	    certificate_write_all(terms->folder, LISTENER_FILE, all, err) < 0)
		return -1;
	a->events |= LISTENER_MADE;
	ret->certificate = sk_X509_shift(all);
	ret->key = TAKE(key);
	return 0;
}

int authority_prepare(const struct certificate_terms *terms, struct authority_state *ret,
		      struct error *err)
{
	AUTO(authorities_done) struct authorities a = {0};
	struct tls_identity listener = {0};
	int result = open_authorities(terms, &a, err);

	if (result == 0)
		read_listener(terms, &a, &listener);
	if (result == 0 && !listener.certificate)
		result = make_listener(terms, &a, &listener, err);
	ret->events = a.events;
	if (result < 0)
		return -1;
	ret->listener = listener;
	ret->signer = signing(terms, &a);
	ret->authorities = TAKE(a.certificates);
	return 0;
}

/* --- for hosts ---------------------------------------------------------------------------------
 */

int authority_sign(const struct certificate_terms *terms, EVP_PKEY *key, STACK_OF(X509) * *ret,
		   struct error *err)
{
	const struct certificate_extension extensions[] = {
		{NID_basic_constraints, "critical,CA:FALSE"},
		{NID_key_usage, "critical,digitalSignature"},
		{NID_ext_key_usage, "serverAuth"},
		{NID_subject_alt_name, terms->names},
		{NID_authority_key_identifier, "keyid"},
		{0, NULL},
	};
	AUTO(authorities_done) struct authorities a = {0};
	AUTO(x509_all_p) STACK_OF(X509) *all = sk_X509_new_null();
	AUTO(x509_p) X509 *certificate = NULL;
	int by;

	if (read_authorities(terms->folder, &a, err) < 0)
		return -1;
	if (sk_X509_num(a.certificates) == 0)
		return error_set(err, ERR_UNSUPPORTED, "the broker has no authority of its own");
	by = signing(terms, &a);
	certificate = certificate_new(terms, key, CERTIFICATE_OF_VIEWER, AUTHORITY_HOST_DAYS,
				      extensions, nth(&a, by), a.keys[by], err);
	if (!certificate)
		return -1;
	if (!all || sk_X509_push(all, certificate) == 0)
		return error_oom(err);
	certificate = NULL;
	if (X509_up_ref(nth(&a, by)) != 1 || sk_X509_push(all, nth(&a, by)) == 0)
		return error_oom(err);
	*ret = TAKE(all);
	return 0;
}

void authority_tell(const struct certificate_terms *terms, const struct authority_state *state)
{
	if (state->events & AUTHORITY_MADE)
		log_info("authority made (file=%s/%s, days=%d)", terms->folder, AUTHORITY_FILE,
			 AUTHORITY_DAYS);
	if (state->events & AUTHORITY_FOLLOWED)
		log_warning(
			"the authority comes to its end: the next one has joined it in %s/%s. Take "
			"this file to agents, DCV servers and gateways within %d days",
			terms->folder, AUTHORITY_FILE, AUTHORITY_NOTICE_DAYS);
	if (state->events & AUTHORITY_DROPPED)
		log_info("the old authority has expired and is dropped (file=%s/%s)", terms->folder,
			 AUTHORITY_FILE);
	if (state->events & LISTENER_MADE)
		log_info("listener certificate made (names=%s)", terms->names);
}
