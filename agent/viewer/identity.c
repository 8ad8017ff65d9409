#include "agent/viewer/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/viewer/own-certificate.h"
#include "agent/viewer/signed-certificate.h"
#include "common/certificate-request.h"
#include "common/certificate.h"
#include "common/cleanup.h"
#include "common/key-store.h"
#include "common/log.h"

#define LOOK_S 86400LL
#define RETRY_S 3600LL /* after an answer that brought none, or no answer */

struct identity {
	struct identity_options options;
	struct timer *timer;
	EVP_PKEY *key; /* NULL: the administrator's is shown */
	STACK_OF(X509) * by_broker;
	X509 *shown;
	char *names,
		*authority; /* as the agent told last; NULL: it has not, or there is none now */
	char *reason;       /* why there is no other certificate, as it was logged last */
};

static void identity_p(struct tls_identity *identity)
{
	tls_identity_done(identity);
}

/* @text NULL: so is the copy. What cannot be remembered is taken to be unknown. */
static void replace(char **text, const char *by)
{
	char *copy = by ? strdup(by) : NULL;

	free(*text);
	*text = copy;
}

/* --- showing -----------------------------------------------------------------------------------
 */

static int show_given(const struct identity *identity, struct error *err)
{
	const struct agent_config *config = identity->options.config;
	AUTO(identity_p) struct tls_identity given = {0};
	AUTO(free_p) char *files = NULL;

	if (asprintf(&files, "%s%s%s", config->viewer_certificate, config->viewer_key ? "," : "",
		     config->viewer_key ? config->viewer_key : "") < 0) {
		files = NULL;
		return error_oom(err);
	}
	if (key_store_load(files, NULL, &given, err) < 0)
		return -1;
	return tls_server_set(identity->options.tls, &given, NULL, err);
}

static X509 *choose(struct identity *identity, struct error *err)
{
	X509 *certificate = sk_X509_value(identity->by_broker, 0);

	if (certificate && certificate_left_s(certificate) > 0) {
		X509_up_ref(certificate);
		return certificate;
	}
	if (certificate)
		log_warning("the broker's certificate has expired: another one signs itself");
	sk_X509_pop_free(TAKE(identity->by_broker), X509_free);
	return own_certificate_get(identity->options.config, identity->options.state_folder,
				   identity->key, err);
}

/* What is as it was is left alone, so that tickets stay good. */
static int show_chosen(struct identity *identity, struct error *err)
{
	AUTO(x509_p) X509 *certificate = choose(identity, err);
	const struct tls_identity chosen = {.certificate = certificate, .key = identity->key};

	if (!certificate)
		return -1;
	if (identity->shown && X509_cmp(identity->shown, certificate) == 0)
		return 0;
	if (tls_server_set(identity->options.tls, &chosen, NULL, err) < 0)
		return -1;
	X509_free(identity->shown);
	identity->shown = TAKE(certificate);
	if (identity->by_broker)
		log_info("the certificate is signed by the broker's authority (days=%lld)",
			 certificate_left_s(identity->shown) / 86400);
	return 0;
}

static int show(struct identity *identity, struct error *err)
{
	return identity->key ? show_chosen(identity, err) : show_given(identity, err);
}

/* --- asking ------------------------------------------------------------------------------------
 */

static struct certificate_wish wish_of(const struct identity *identity)
{
	return (struct certificate_wish){identity->key, identity->names, identity->authority};
}

/* Is another certificate to be had, and wanted? */
static bool is_wanting(const struct identity *identity)
{
	const struct certificate_wish wish = wish_of(identity);

	if (!wish.names || !wish.authority)
		return false;
	return !identity->by_broker || signed_certificate_due_s(identity->by_broker) == 0 ||
	       !signed_certificate_fits(identity->by_broker, &wish);
}

/* Once for each reason. With one of the broker's nothing is amiss until another is wanted. */
static void tell_reason(struct identity *identity, const char *reason)
{
	if (identity->by_broker && !is_wanting(identity) &&
	    signed_certificate_due_s(identity->by_broker) > 0)
		return;
	if (identity->reason && strcmp(identity->reason, reason) == 0)
		return;
	replace(&identity->reason, reason);
	if (identity->by_broker)
		log_warning("the broker's certificate is not renewed (days=%lld): %s",
			    certificate_left_s(identity->shown) / 86400, reason);
	else
		log_info("the certificate signs itself: %s", reason);
}

static void ask(struct identity *identity)
{
	AUTO(buf_done) struct buf request = {0};
	struct error err;

	if (certificate_request_append(identity->key, identity->names, &request, &err) < 0 ||
	    vouch_ask_certificate(*identity->options.vouch, request.data, &err) < 0)
		tell_reason(identity, err.message);
}

/* When there may be something to do again. */
static void wait(struct identity *identity)
{
	long long s = LOOK_S, other_s = LOOK_S;

	if (identity->by_broker) {
		other_s = signed_certificate_due_s(identity->by_broker);
		if (other_s == 0)
			other_s = certificate_left_s(identity->shown);
	}
	if (is_wanting(identity) && RETRY_S < s)
		s = RETRY_S;
	if (other_s < s)
		s = other_s;
	timer_start(identity->timer, (unsigned long long)(s > 0 ? s : 0) * 1000 + 1000, 0);
}

static void look_after(struct identity *identity)
{
	struct error err;

	if (show(identity, &err) < 0)
		log_error("the certificate stays as it is: %s", err.message);
	if (is_wanting(identity))
		ask(identity);
	wait(identity);
}

/* --- what the agent tells ----------------------------------------------------------------------
 */

static void on_host(const char *names, const char *authority, const char *reason, void *userdata)
{
	struct identity *identity = userdata;

	replace(&identity->names, names[0] ? names : NULL);
	replace(&identity->authority, authority);
	if (!authority)
		tell_reason(identity, reason);
	else if (!names[0])
		tell_reason(identity, "the host has no name that others could reach it by");
	look_after(identity);
}

static void on_answered(const char *certificate, const char *reason, void *userdata)
{
	struct identity *identity = userdata;
	const struct certificate_wish wish = wish_of(identity);
	STACK_OF(X509) *all = NULL;
	struct error err;

	if (!certificate) {
		tell_reason(identity, reason);
		return;
	}
	if (wish.names && wish.authority) /* else it is known no more what was asked for */
		all = signed_certificate_take(certificate, &wish, identity->options.state_folder,
					      &err);
	else
		(void)error_set(&err, ERR_CONFLICT, "it is not asked for any more");
	if (!all) {
		tell_reason(identity, err.message);
		return;
	}
	sk_X509_pop_free(identity->by_broker, X509_free);
	identity->by_broker = all;
	replace(&identity->reason, NULL);
	if (show(identity, &err) < 0)
		log_error("the certificate stays as it is: %s", err.message);
	wait(identity);
}

const struct vouch_certificate_events *identity_events(const struct identity *identity)
{
	static const struct vouch_certificate_events events = {on_host, on_answered};

	return identity->key ? &events : NULL;
}

/* --- life --------------------------------------------------------------------------------------
 */

void identity_look(struct identity *identity)
{
	look_after(identity);
}

static void on_timer(void *userdata)
{
	look_after(userdata);
}

static int start(struct identity *identity, struct error *err)
{
	const struct agent_config *config = identity->options.config;

	if (config->viewer_key && !config->viewer_certificate)
		return error_set(err, ERR_CONFIG,
				 "viewer.key is set and viewer.certificate is not");
	if (!config->viewer_certificate) {
		identity->key = own_certificate_key(identity->options.state_folder, err);
		if (!identity->key)
			return -1;
		identity->by_broker =
			signed_certificate_read(identity->options.state_folder, identity->key);
	}
	if (show(identity, err) < 0)
		return -1;
	if (identity->key && !identity->by_broker)
		tell_reason(identity, "no broker has signed one yet");
	identity->timer = timer_new(identity->options.loop, on_timer, identity);
	if (!identity->timer)
		return error_oom(err);
	wait(identity);
	return 0;
}

struct identity *identity_new(const struct identity_options *options, struct error *err)
{
	struct identity *identity = calloc(1, sizeof(*identity));

	if (!identity) {
		(void)error_oom(err);
		return NULL;
	}
	identity->options = *options;
	if (start(identity, err) == 0)
		return identity;
	identity_free(identity);
	return NULL;
}

void identity_stop(struct identity *identity)
{
	if (identity)
		timer_free(TAKE(identity->timer));
}

void identity_free(struct identity *identity)
{
	if (!identity)
		return;
	timer_free(identity->timer);
	EVP_PKEY_free(identity->key);
	sk_X509_pop_free(identity->by_broker, X509_free);
	X509_free(identity->shown);
	free(identity->names);
	free(identity->authority);
	free(identity->reason);
	free(identity);
}
