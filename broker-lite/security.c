#include "broker-lite/security.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/address-watch.h"
#include "broker-lite/authority.h"
#include "broker-lite/host-names.h"
#include "common/cleanup.h"
#include "common/key-store.h"
#include "common/log.h"
#include "common/number.h"
#include "common/subject-names.h"

#define WARNING_DAYS 30 /* before a file of the administrator expires */
#define LEAST_WAIT_MS 50
#define TIME_SCALE "DCV_SM_CERTIFICATE_TIME_SCALE"

/* One listener as the settings have it. */
struct shown {
	const char *name;
	const char *key_store, *key_store_pass; /* NULL: our own certificate */
	const char *trust_store, *trust_store_pass;
	struct tls_server *tls; /* NULL: there is no such listener */
	struct tls_identity identity;
	X509_STORE *authorities; /* of peers; NULL: they need no certificate */
};

/* What is done off the loop, and what came of it. */
struct check {
	struct security *security; /* its settings alone may be looked at there */
	bool reads_files;
	struct buf names;
	struct certificate_terms terms;
	struct authority_state own;
	struct error own_error;
	struct found {
		struct tls_identity identity;
		X509_STORE *authorities;
		struct error err;
	} found[N_LISTENERS]; /* of those with files */
};

struct security {
	struct loop *loop;
	const struct broker_config *config;
	char *folder;
	long long day_ms;
	struct shown shown[N_LISTENERS];
	STACK_OF(X509) * authorities; /* our own; NULL: we have none */
	char signer[2 * SHA256_DIGEST_LENGTH + 1];
	char *extra_names; /* of the settings, as in subject-names.h */
	void (*signer_changed)(void *userdata);
	void *signer_userdata;
	struct timer *timer;
	struct address_watch *watch;
	bool is_checking;
	bool is_check_wanted, is_reload_wanted; /* when that is done */
	bool is_stopped;
};

/* --- off the loop ------------------------------------------------------------------------------
 */

static bool uses_own(const struct security *security)
{
	for (size_t i = 0; i < N_LISTENERS; i++) {
		if (security->shown[i].tls && !security->shown[i].key_store)
			return true;
	}
	return false;
}

static void prepare_own(const struct security *security, struct check *check)
{
	if (host_names_append(security->config->certificate_extra_names, &check->names,
			      &check->own_error) < 0)
		return;
	check->terms = (struct certificate_terms){
		.folder = security->folder,
		.names = check->names.data,
		.is_rsa = strcmp(security->config->certificate_key_type, "rsa") == 0,
		.day_ms = security->day_ms,
	};
	(void)authority_prepare(&check->terms, &check->own, &check->own_error);
}

static void read_files(const struct shown *shown, struct found *ret)
{
	struct error err = {0};

	if (shown->key_store)
		(void)key_store_load(shown->key_store, shown->key_store_pass, &ret->identity,
				     &ret->err);
	if (shown->trust_store &&
	    key_store_load_authorities(shown->trust_store, shown->trust_store_pass,
				       &ret->authorities, &err) < 0)
		ret->err = err; /* it is worse not to know whom to let in */
}

static void do_check(void *userdata)
{
	struct check *check = userdata;
	const struct security *security = check->security;

	if (uses_own(security))
		prepare_own(security, check);
	for (size_t i = 0; i < N_LISTENERS && check->reads_files; i++) {
		if (security->shown[i].tls)
			read_files(&security->shown[i], &check->found[i]);
	}
}

static void check_free(struct check *check)
{
	buf_done(&check->names);
	authority_state_done(&check->own);
	for (size_t i = 0; i < N_LISTENERS; i++) {
		tls_identity_done(&check->found[i].identity);
		X509_STORE_free(check->found[i].authorities);
	}
	free(check);
}

static void check_p(struct check **check)
{
	if (*check)
		check_free(*check);
}

/* --- showing what was found --------------------------------------------------------------------
 */

static int copy_identity(const struct tls_identity *from, struct tls_identity *ret,
			 struct error *err)
{
	*ret = (struct tls_identity){0};
	if (from->chain && !(ret->chain = X509_chain_up_ref(from->chain)))
		return error_oom(err);
	(void)X509_up_ref(from->certificate);
	(void)EVP_PKEY_up_ref(from->key);
	ret->certificate = from->certificate;
	ret->key = from->key;
	return 0;
}

/* @authorities NULL: those of before. Both are taken if this succeeds. */
static int show(struct shown *shown, struct tls_identity *identity, X509_STORE **authorities,
		struct error *err)
{
	if (tls_server_set(shown->tls, identity, *authorities ? *authorities : shown->authorities,
			   err) < 0)
		return error_prefix(err, "%s", shown->key_store ? shown->key_store : shown->name);
	tls_identity_done(&shown->identity);
	shown->identity = *identity;
	*identity = (struct tls_identity){0};
	if (*authorities) {
		X509_STORE_free(shown->authorities);
		shown->authorities = TAKE(*authorities);
	}
	return 0;
}

/* What is as it was is left alone, so that tickets stay good. */
static int show_own(struct shown *shown, const struct check *check, X509_STORE **authorities,
		    struct error *err)
{
	const struct tls_identity *own = &check->own.listener;
	struct tls_identity copy;
	int result;

	if (!*authorities && shown->identity.certificate &&
	    X509_cmp(shown->identity.certificate, own->certificate) == 0)
		return 0;
	if (copy_identity(own, &copy, err) < 0)
		return -1;
	result = show(shown, &copy, authorities, err);
	tls_identity_done(&copy);
	return result;
}

/* Who may come in does not hang on what is wrong with the certificate that we show. */
static int show_authorities(struct shown *shown, X509_STORE **authorities, struct error *err)
{
	struct tls_identity copy;
	int result;

	if (!*authorities || !shown->identity.certificate)
		return 0;
	if (copy_identity(&shown->identity, &copy, err) < 0)
		return -1;
	result = show(shown, &copy, authorities, err);
	tls_identity_done(&copy);
	return result;
}

static int apply_one(struct security *security, struct check *check, size_t i, struct error *err)
{
	struct shown *shown = &security->shown[i];
	struct found *found = &check->found[i];

	if (!shown->tls)
		return 0;
	if (found->err.code != ERR_NONE) {
		if (show_authorities(shown, &found->authorities, err) == 0)
			*err = found->err;
		return error_prefix(err, "%s", shown->name);
	}
	if (!shown->key_store && check->own_error.code != ERR_NONE) {
		if (show_authorities(shown, &found->authorities, err) == 0)
			*err = check->own_error;
		return -1;
	}
	if (!shown->key_store)
		return show_own(shown, check, &found->authorities, err);
	return check->reads_files ? show(shown, &found->identity, &found->authorities, err) : 0;
}

/* An expiry that nobody but the administrator can do something about. */
static void judge_file(const struct security *security, size_t i)
{
	const struct shown *shown = &security->shown[i];
	double days = security_days_left(security, (enum security_listener)i);

	if (!shown->tls || !shown->key_store)
		return;
	if (days <= 0)
		log_error("%s: the certificate in %s has expired", shown->name, shown->key_store);
	else if (days < WARNING_DAYS)
		log_warning("%s: the certificate in %s expires in %d days", shown->name,
			    shown->key_store, (int)days);
}

static void note_signer(struct security *security, X509 *authority)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char before[sizeof(security->signer)];
	unsigned len = 0;

	memcpy(before, security->signer, sizeof(before));
	if (!authority || X509_digest(authority, EVP_sha256(), digest, &len) != 1)
		return;
	for (unsigned i = 0; i < len; i++)
		(void)snprintf(security->signer + (size_t)2 * i, 3, "%02x", digest[i]);
	if (security->signer_changed && strcmp(before, security->signer) != 0)
		security->signer_changed(security->signer_userdata);
}

/* -1: something is as it was because of an error; the last one is told. */
static int apply(struct security *security, struct check *check, bool is_start, struct error *err)
{
	int result = 0;

	authority_tell(&check->terms, &check->own);
	for (size_t i = 0; i < N_LISTENERS; i++) {
		struct error own = {0};

		if (apply_one(security, check, i, &own) == 0) {
			judge_file(security, i);
			continue;
		}
		/* our own certificate has one error, whatever listeners show it */
		if (!is_start && (result == 0 || strcmp(own.message, err->message) != 0))
			log_error("%s; the certificate stays as it was", own.message);
		*err = own;
		result = -1;
	}
	if (check->own.authorities) {
		sk_X509_pop_free(security->authorities, X509_free);
		security->authorities = TAKE(check->own.authorities);
		note_signer(security, sk_X509_value(security->authorities, check->own.signer));
	}
	return result;
}

/* --- when --------------------------------------------------------------------------------------
 */

static void begin_check(struct security *security, bool reads_files);

static void wait_part_of_day(struct security *security, int part)
{
	long long ms = security->day_ms / part;

	timer_start(security->timer, ms > LEAST_WAIT_MS ? (unsigned long long)ms : LEAST_WAIT_MS,
		    0);
}

static void on_checked(void *userdata)
{
	AUTO(check_p) struct check *check = userdata;
	struct security *security = check->security;
	struct error err;

	security->is_checking = false;
	if (security->is_stopped)
		return;
	wait_part_of_day(security, apply(security, check, false, &err) < 0 ? 24 : 2);
	if (security->is_check_wanted)
		begin_check(security, security->is_reload_wanted);
}

static void begin_check(struct security *security, bool reads_files)
{
	struct check *check;
	struct error err;

	if (security->is_checking) {
		security->is_check_wanted = true;
		security->is_reload_wanted = security->is_reload_wanted || reads_files;
		return;
	}
	security->is_check_wanted = security->is_reload_wanted = false;
	check = calloc(1, sizeof(*check));
	if (check) {
		check->security = security;
		check->reads_files = reads_files;
		if (loop_work(security->loop, do_check, on_checked, check, &err) == 0) {
			security->is_checking = true;
			return;
		}
		check_free(check);
	}
	log_error("certificates cannot be looked after now");
	wait_part_of_day(security, 24);
}

static void look_after(void *userdata)
{
	begin_check(userdata, false);
}

void security_reload(struct security *security)
{
	begin_check(security, true);
}

/* --- life --------------------------------------------------------------------------------------
 */

static int read_time_scale(struct security *security, struct error *err)
{
	const char *text = getenv(TIME_SCALE);
	long long scale = 1;

	if (text && !number_parse(text, 1, DAY_MS, &scale))
		return error_set(err, ERR_CONFIG, TIME_SCALE " is not a number from 1 on");
	security->day_ms = DAY_MS / scale;
	return 0;
}

static int add_listeners(struct security *security, struct error *err)
{
	const struct broker_config *config = security->config;

	security->shown[LISTENER_CLIENT] =
		(struct shown){.name = "client-to-broker-connector-key-store-file",
			       .key_store = config->client_key_store,
			       .key_store_pass = config->client_key_store_pass};
	security->shown[LISTENER_AGENT] =
		(struct shown){.name = "agent-to-broker-connector-key-store-file",
			       .key_store = config->agent_key_store,
			       .key_store_pass = config->agent_key_store_pass};
	security->shown[LISTENER_GATEWAY] =
		(struct shown){.name = "gateway-to-broker-connector-key-store-file",
			       .key_store = config->gateway_key_store,
			       .key_store_pass = config->gateway_key_store_pass};
	if (config->enable_gateway_client_auth) {
		security->shown[LISTENER_GATEWAY].trust_store = config->gateway_trust_store;
		security->shown[LISTENER_GATEWAY].trust_store_pass =
			config->gateway_trust_store_pass;
	}
	for (size_t i = 0; i < N_LISTENERS; i++) {
		if (i == LISTENER_GATEWAY && !config->enable_gateway)
			continue;
		security->shown[i].tls = tls_server_new(err);
		if (!security->shown[i].tls)
			return -1;
	}
	return 0;
}

static int read_extra_names(struct security *security, struct error *err)
{
	AUTO(buf_done) struct buf names = {0};

	if (host_names_append_list(security->config->certificate_extra_names, &names, err) < 0)
		return -1;
	security->extra_names = buf_steal(&names);
	return security->extra_names ? 0 : error_oom(err);
}

static int start(struct security *security, struct error *err)
{
	AUTO(check_p) struct check *check = calloc(1, sizeof(*check));

	if (!check)
		return error_oom(err);
	check->security = security;
	check->reads_files = true;
	do_check(check);
	if (apply(security, check, true, err) < 0)
		return -1;
	security->timer = timer_new(security->loop, look_after, security);
	if (!security->timer)
		return error_oom(err);
	wait_part_of_day(security, 2);
	/* without it, changes of addresses are seen twice a day */
	security->watch = address_watch_new(security->loop, look_after, security, err);
	if (!security->watch)
		log_warning("%s", err->message);
	return 0;
}

int security_new(struct security **ret, struct loop *loop, const struct broker_config *config,
		 const char *folder, struct error *err)
{
	struct security *security = calloc(1, sizeof(*security));

	if (!security)
		return error_oom(err);
	security->loop = loop;
	security->config = config;
	security->folder = strdup(folder);
	if (!security->folder || read_time_scale(security, err) < 0 ||
	    read_extra_names(security, err) < 0 || add_listeners(security, err) < 0 ||
	    start(security, err) < 0) {
		if (!security->folder)
			(void)error_oom(err);
		security_stop(security);
		security_free(security);
		return -1;
	}
	*ret = security;
	return 0;
}

void security_stop(struct security *security)
{
	if (!security || security->is_stopped)
		return;
	security->is_stopped = true;
	timer_free(security->timer);
	address_watch_free(security->watch);
}

void security_free(struct security *security)
{
	if (!security)
		return;
	for (size_t i = 0; i < N_LISTENERS; i++) {
		tls_server_free(security->shown[i].tls);
		tls_identity_done(&security->shown[i].identity);
		X509_STORE_free(security->shown[i].authorities);
	}
	sk_X509_pop_free(security->authorities, X509_free);
	free(security->folder);
	free(security->extra_names);
	free(security);
}

/* --- asked for ---------------------------------------------------------------------------------
 */

struct tls_server *security_tls(struct security *security, enum security_listener listener)
{
	return security->shown[listener].tls;
}

static double days_left(const struct security *security, const X509 *certificate)
{
	return certificate
		       ? (double)certificate_left_s(certificate) * 1000 / (double)security->day_ms
		       : 0;
}

double security_days_left(const struct security *security, enum security_listener listener)
{
	return days_left(security, security->shown[listener].identity.certificate);
}

double security_authority_days_left(const struct security *security)
{
	return days_left(security, sk_X509_value(security->authorities, 0));
}

const char *security_signer(const struct security *security)
{
	return security->signer;
}

void security_watch_signer(struct security *security, void (*changed)(void *userdata),
			   void *userdata)
{
	security->signer_changed = changed;
	security->signer_userdata = userdata;
}

struct certificate_terms security_terms(const struct security *security, const char *names)
{
	return (struct certificate_terms){
		.folder = security->folder, .names = names, .day_ms = security->day_ms};
}

/* Patterns are no name of one host. */
static bool names_it(X509 *certificate, const char *entry)
{
	const unsigned flags = X509_CHECK_FLAG_NO_WILDCARDS;
	const char *name = strchr(entry, ':') + 1;

	if (!certificate)
		return false;
	return strncmp(entry, "IP:", 3) == 0
		       ? X509_check_ip_asc(certificate, name, flags) == 1
		       : X509_check_host(certificate, name, 0, flags, NULL) == 1;
}

bool security_is_own_name(const struct security *security, const char *entry, bool is_here)
{
	if (subject_names_has(security->extra_names, entry))
		return true;
	for (size_t i = 0; i < N_LISTENERS; i++) {
		const struct shown *shown = &security->shown[i];

		if ((shown->key_store || !is_here) && names_it(shown->identity.certificate, entry))
			return true;
	}
	return false;
}

bool security_is_own_address(const struct security *security, const char *address)
{
	for (size_t i = 0; i < N_LISTENERS; i++) {
		const struct shown *shown = &security->shown[i];

		if (!shown->key_store && shown->identity.certificate &&
		    X509_check_ip_asc(shown->identity.certificate, address, 0) == 1)
			return true;
	}
	return false;
}

/* The end of the chain that is shown; NULL: its authority did not come with it. */
static X509 *find_end(const struct tls_identity *identity)
{
	X509 *at = identity->certificate;

	for (int depth = 0; depth < 10 && X509_self_signed(at, 0) != 1; depth++) {
		X509 *next = NULL;

		for (int i = 0; i < sk_X509_num(identity->chain) && !next; i++) {
			if (X509_check_issued(sk_X509_value(identity->chain, i), at) == X509_V_OK)
				next = sk_X509_value(identity->chain, i);
		}
		if (!next)
			return NULL;
		at = next;
	}
	return at;
}

static X509 *find_signer(const struct security *security, X509 *certificate)
{
	for (int i = 0; i < sk_X509_num(security->authorities); i++) {
		X509 *authority = sk_X509_value(security->authorities, i);

		if (X509_verify(certificate, X509_get0_pubkey(authority)) == 1)
			return authority;
	}
	return NULL;
}

int security_append_trust(const struct security *security, struct buf *ret,
			  unsigned char ret_fingerprint[32], struct error *err)
{
	const struct shown *shown = &security->shown[LISTENER_AGENT];
	X509 *pinned = shown->key_store ? find_end(&shown->identity)
					: find_signer(security, shown->identity.certificate);
	unsigned len = 0;

	ERR_clear_error();
	if (!pinned)
		return error_set(
			err, ERR_UNSUPPORTED,
			"agents cannot join: %s has no certificate of the authority that they "
			"would have to trust. Add it to the file, or copy it to the hosts by "
			"hand",
			shown->key_store ? shown->key_store : "the broker");
	if (X509_digest(pinned, EVP_sha256(), ret_fingerprint, &len) != 1)
		return error_oom(err);
	if (shown->key_store)
		return certificate_append(pinned, ret, err);
	return certificate_append_all(security->authorities, ret, err);
}
