#include "broker-lite/auth-server.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/text.h"

#define WELL_KNOWN "/.well-known/jwks.json"
#define OPTION_MAX_BYTES 2048

/* --- what was registered -----------------------------------------------------------------------
 */

static int check_algorithms(const char *list, struct error *err)
{
	char name[8];
	size_t n;

	do {
		n = strcspn(list, ",");
		if (n < sizeof(name)) {
			memcpy(name, list, n);
			name[n] = '\0';
		}
		if (n >= sizeof(name) || !token_algorithm_find(name))
			return error_set(
				err, ERR_INVALID,
				"--algorithm: '%.*s' is none of RS256, RS384, RS512, PS256, "
				"PS384, PS512, ES256, ES384, ES512",
				n < 80 ? (int)n : 80, list);
		list += n;
	} while (*list++ == ',');
	return 0;
}

static int check_text(const char *option, const char *text, struct error *err)
{
	if (!text)
		return 0;
	if (!*text || strlen(text) > OPTION_MAX_BYTES)
		return error_set(err, ERR_INVALID, "--%s must have 1 to %d bytes", option,
				 OPTION_MAX_BYTES);
	return 0;
}

static int check_options(const struct auth_server_options *options, struct error *err)
{
	if (fetch_check_url(options->url, err) < 0)
		return error_prefix(err, "--url");
	if (options->algorithms && check_algorithms(options->algorithms, err) < 0)
		return -1;
	if (check_text("issuer", options->issuer, err) < 0 ||
	    check_text("audience", options->audience, err) < 0)
		return -1;
	return check_text("scope", options->scope, err);
}

static int copy(char **ret, const char *text, struct error *err)
{
	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : error_oom(err);
}

static int set_url_issuer(struct auth_server *server, struct error *err)
{
	size_t len = strlen(server->url), end = strlen(WELL_KNOWN);

	if (len <= end || strcmp(server->url + len - end, WELL_KNOWN) != 0)
		return 0;
	server->url_issuer = strndup(server->url, len - end);
	return server->url_issuer ? 0 : error_oom(err);
}

struct auth_server *auth_server_new(const struct auth_server_options *options,
				    struct fetcher *fetcher, struct error *err)
{
	struct auth_server *server;

	if (check_options(options, err) < 0)
		return NULL;
	server = calloc(1, sizeof(*server));
	if (!server) {
		(void)error_oom(err);
		return NULL;
	}
	server->fetcher = fetcher;
	if (copy(&server->url, options->url, err) < 0 ||
	    copy(&server->algorithms, options->algorithms, err) < 0 ||
	    copy(&server->issuer, options->issuer, err) < 0 ||
	    copy(&server->audience, options->audience, err) < 0 ||
	    copy(&server->scope, options->scope, err) < 0 || set_url_issuer(server, err) < 0) {
		auth_server_free(server);
		return NULL;
	}
	return server;
}

void auth_server_free(struct auth_server *server)
{
	if (!server)
		return;
	server->is_gone = true;
	if (server->is_fetching)
		return;
	key_set_free(server->keys);
	free(server->url);
	free(server->algorithms);
	free(server->issuer);
	free(server->audience);
	free(server->scope);
	free(server->url_issuer);
	free(server);
}

const char *auth_server_issuer(const struct auth_server *server)
{
	return server->issuer ? server->issuer : server->url_issuer;
}

/* --- its keys ----------------------------------------------------------------------------------
 */

/* Whether they are others than before. */
static int take_keys(struct auth_server *server, const struct buf *body, bool *ret_has_changed,
		     struct error *err)
{
	struct key_set *keys = NULL;
	unsigned char digest[sizeof(server->digest)];

	if (EVP_Digest(body->data ? body->data : "", body->len, digest, NULL, EVP_sha256(), NULL) !=
	    1)
		return error_set(err, ERR_SYSTEM, "cannot hash");
	if (key_set_read(&keys, body->data ? body->data : "", body->len, err) < 0)
		return -1;
	*ret_has_changed = !server->keys || memcmp(digest, server->digest, sizeof(digest)) != 0;
	key_set_free(server->keys);
	server->keys = keys;
	memcpy(server->digest, digest, sizeof(digest));
	return 0;
}

static void on_body(const struct buf *body, const struct error *failure, void *userdata)
{
	struct auth_server *server = userdata;
	struct error err;
	bool has_changed = false;

	server->is_fetching = false;
	if (server->is_gone) {
		auth_server_free(server);
		return;
	}
	if (atomic_load(&server->fetcher->is_stopping))
		return;
	server->tried_ms = loop_now_ms(server->fetcher->loop);
	if (!failure && take_keys(server, body, &has_changed, &err) < 0)
		failure = &err;
	if (failure) {
		log_warning("authorization server %s: its keys cannot be had: %s", server->url,
			    failure->message);
	} else {
		server->fetched_ms = server->tried_ms;
		log_info("authorization server %s: keys fetched (usable=%zu, changed=%d)",
			 server->url, key_set_size(server->keys), has_changed);
	}
	if (server->on_fetched)
		server->on_fetched(has_changed, server->userdata);
}

void auth_server_fetch(struct auth_server *server)
{
	struct error err;

	if (server->is_fetching)
		return;
	server->tried_ms = loop_now_ms(server->fetcher->loop);
	if (fetch(server->fetcher, server->url, on_body, server, &err) < 0)
		log_warning("authorization server %s: its keys cannot be had: %s", server->url,
			    err.message);
	else
		server->is_fetching = true;
}

/* Fetch unless @before_ms, when it was done for the same reason, is less than @pause_ms ago. Whether the
 * keys are on their way. */
static bool fetch_again(struct auth_server *server, unsigned long long before_ms,
			unsigned long long pause_ms)
{
	if (before_ms == 0 || loop_now_ms(server->fetcher->loop) - before_ms >= pause_ms)
		auth_server_fetch(server);
	return server->is_fetching;
}

bool auth_server_is_fresh(struct auth_server *server)
{
	unsigned long long age_ms = loop_now_ms(server->fetcher->loop) - server->fetched_ms;

	if (!server->keys || age_ms >= KEYS_LIFE_MS)
		return false;
	if (age_ms >= KEYS_REFRESH_MS)
		(void)fetch_again(server, server->tried_ms, KEYS_REFRESH_RETRY_MS);
	return true;
}

/* --- tokens ------------------------------------------------------------------------------------
 */

static int check(const struct auth_server *server, const struct token *token,
		 const cjose_jwk_t *key, long long *ret_expires_s, struct error *err)
{
	const struct claims_rules rules = {auth_server_issuer(server), server->audience,
					   server->scope};

	if (token_check_signature(token, key, err) < 0 ||
	    claims_check_times(token->claims, time_now_ms() / 1000, ret_expires_s, err) < 0)
		return -1;
	return claims_check_rules(token->claims, &rules, err);
}

enum auth_verdict auth_server_verify(struct auth_server *server, const struct token *token,
				     long long *ret_expires_s, struct error *err)
{
	const cjose_jwk_t *key;

	if (!auth_server_is_fresh(server)) {
		(void)error_set(err, ERR_UNAUTHORIZED, "the keys of %.200s are not there",
				server->url);
		return fetch_again(server, server->tried_ms, KEYS_RETRY_MS) ? AUTH_LATER
									    : AUTH_REFUSED;
	}
	if (key_set_find(server->keys, token, server->algorithms, &key, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return AUTH_REFUSED;
		(void)error_set(err, ERR_UNAUTHORIZED, "unknown key");
		if (!fetch_again(server, server->refetched_ms, KEYS_UNKNOWN_RETRY_MS))
			return AUTH_REFUSED;
		server->refetched_ms = loop_now_ms(server->fetcher->loop);
		return AUTH_LATER;
	}
	return check(server, token, key, ret_expires_s, err) < 0 ? AUTH_REFUSED : AUTH_ACCEPTED;
}
