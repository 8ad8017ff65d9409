#include "broker-lite/authorization.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/failures.h"
#include "common/http-form.h"
#include "common/json.h"
#include "common/log.h"

static const char *const audiences[] = {[CLIENT_API] = "api", [CLIENT_AGENT] = "agent"};

static void refuse_held_client(struct http_request *request, bool is_due, unsigned long long due_ms,
			       void *userdata);
static void resume(struct http_request *request, bool is_due, unsigned long long due_ms,
		   void *userdata);

static void on_keys_fetched(void *userdata)
{
	struct authorization *authorization = userdata;

	held_release(&authorization->waiting);
}

int authorization_init(struct authorization *authorization, const struct authorization_parts *parts,
		       struct error *err)
{
	*authorization = (struct authorization){.parts = *parts};
	held_init(&authorization->refused, parts->loop, REFUSED_MAX, refuse_held_client, NULL);
	held_init(&authorization->waiting, parts->loop, WAITING_MAX, resume, authorization);
	if (parts->servers) {
		parts->servers->on_fetched = on_keys_fetched;
		parts->servers->userdata = authorization;
	}
	if (RAND_bytes(authorization->remember_key, sizeof(authorization->remember_key)) != 1)
		return error_set(err, ERR_SYSTEM, "no random numbers");
	if (guesses_init(&authorization->guesses, err) < 0)
		return -1;
	for (int kind = 0; kind < N_CLIENT_KINDS; kind++) {
		authorization->nobody[kind] = password_hash_of_nobody(kind == CLIENT_AGENT, err);
		if (!authorization->nobody[kind])
			return -1;
	}
	authorization->verified = calloc(VERIFIED_TOKENS, sizeof(*authorization->verified));
	return authorization->verified ? 0 : error_oom(err);
}

void authorization_stop(struct authorization *authorization)
{
	if (!authorization->parts.clients)
		return;
	held_stop(&authorization->refused);
	held_stop(&authorization->waiting);
}

void authorization_done(struct authorization *authorization)
{
	OPENSSL_cleanse(authorization->remember_key, sizeof(authorization->remember_key));
	guesses_done(&authorization->guesses);
	for (int kind = 0; kind < N_CLIENT_KINDS; kind++)
		free(authorization->nobody[kind]);
	for (size_t i = 0; authorization->verified && i < VERIFIED_TOKENS; i++) {
		client_unref(authorization->verified[i].client);
		free(authorization->verified[i].token);
	}
	free(authorization->verified);
}

/* --- answers of the token endpoint -------------------------------------------------------------
 */

#define NO_STORE                                                                                   \
	{"Cache-Control", "no-store"},                                                             \
	{                                                                                          \
		"Pragma", "no-cache"                                                               \
	}

static void refuse(struct http_request *request, int status, const char *error,
		   const char *description, unsigned retry_s)
{
	static const struct http_header plain[] = {NO_STORE, {NULL, NULL}};
	static const struct http_header basic[] = {
		NO_STORE,
		{"WWW-Authenticate", "Basic realm=\"dcv-session-manager\""},
		{NULL, NULL}};
	static const struct http_header allow[] = {NO_STORE, {"Allow", "POST"}, {NULL, NULL}};
	char retry[12];
	const struct http_header later[] = {NO_STORE, {"Retry-After", retry}, {NULL, NULL}};
	const struct http_header *headers = status == 401   ? basic
					    : status == 405 ? allow
					    : status == 429 ? later
							    : plain;
	struct buf body = {0};
	struct error err;

	(void)snprintf(retry, sizeof(retry), "%u", retry_s);
	if (buf_printf(&body, &err, "{\"error\":\"%s\",\"error_description\":\"%s\"}", error,
		       description) < 0)
		buf_done(&body);
	http_reply(request, status, "application/json", &body, headers);
}

static void refuse_client(struct http_request *request)
{
	refuse(request, 401, "invalid_client", "unknown client or wrong password", 0);
}

static void refuse_held_client(struct http_request *request, bool is_due, unsigned long long due_ms,
			       void *userdata)
{
	(void)is_due;
	(void)due_ms;
	(void)userdata;
	refuse_client(request);
}

static void refuse_busy(struct http_request *request, unsigned retry_s, const char *why)
{
	refuse(request, 429, "temporarily_unavailable", why, retry_s);
}

static int count_parameter(const char *form, const char *name)
{
	size_t len = strlen(name);
	int n = 0;

	for (const char *p = form; *p; p += strcspn(p, "&"), p += *p == '&')
		n += strncmp(p, name, len) == 0 && p[len] == '=';
	return n;
}

/* Clients put grant_type into the query or into the body; in both places it must be the same. */
static bool check_grant(struct http_request *request)
{
	const char *body = request->body.data ? request->body.data : "";
	AUTO(free_p) char *in_query = http_form_value(request->query, "grant_type");
	AUTO(free_p) char *in_body = http_form_value(body, "grant_type");
	const char *grant = in_query ? in_query : in_body;

	if (!grant || count_parameter(request->query, "grant_type") > 1 ||
	    count_parameter(body, "grant_type") > 1 ||
	    (in_query && in_body && strcmp(in_query, in_body) != 0)) {
		refuse(request, 400, "invalid_request", "grant_type must be given once", 0);
		return false;
	}
	if (strcmp(grant, "client_credentials") != 0) {
		refuse(request, 400, "unsupported_grant_type",
		       "grant_type must be client_credentials", 0);
		return false;
	}
	return true;
}

static void grant_token(struct authorization *authorization, struct http_request *request,
			const struct client *client)
{
	static const struct http_header headers[] = {NO_STORE, {NULL, NULL}};
	struct buf body = {0};
	struct error err = {0};
	json_auto_t *claims =
		json_pack("{s:s,s:s}", "iss", "dcv-session-manager-broker", "sub", client->id);

	if (!check_grant(request))
		return;
	if (!claims || buf_append_text(&body, "{\"access_token\":\"", &err) < 0 ||
	    key_ring_sign(authorization->parts.keys, claims, audiences[client->kind],
			  ACCESS_TOKEN_LIFE_S, &body, &err) < 0 ||
	    buf_printf(&body, &err, "\",\"token_type\":\"Bearer\",\"expires_in\":%d}",
		       ACCESS_TOKEN_LIFE_S) < 0) {
		log_error("access token for client %s: %s", client->id, err.message);
		buf_done(&body);
		(void)error_set(&err, ERR_SYSTEM, "internal error");
		http_reply_error(request, &err, headers);
		return;
	}
	log_debug("access token issued (client=%s)", client->id);
	http_reply(request, 200, "application/json", &body, headers);
}

/* --- passwords ---------------------------------------------------------------------------------
 */

struct token_call {
	struct authorization *authorization;
	struct http_request *request;
	enum client_kind kind;
	struct client *client; /* NULL: there is none, or an inactive one */
	struct guess guess;
	unsigned long long since_ms;
	unsigned char mark[32]; /* what the client is recognised by if the password is right */
};

static void mark_password(const struct authorization *authorization, const char *credentials,
			  unsigned char ret[32])
{
	unsigned len = 32;

	(void)HMAC(EVP_sha256(), authorization->remember_key, sizeof(authorization->remember_key),
		   (const unsigned char *)credentials, strlen(credentials), ret, &len);
}

static bool is_known_address(const struct token_call *call)
{
	for (size_t i = 0; call->client && i < CLIENT_ADDRESSES; i++) {
		if (call->client->addresses[i] == call->guess.address)
			return true;
	}
	return false;
}

static void accept_password(struct token_call *call)
{
	struct client *client = call->client;

	if (!is_known_address(call)) {
		memmove(client->addresses + 1, client->addresses,
			sizeof(client->addresses) - sizeof(client->addresses[0]));
		client->addresses[0] = call->guess.address;
	}
	memcpy(client->remembered, call->mark, sizeof(call->mark));
	client->is_remembered = true;
	grant_token(call->authorization, call->request, client);
}

/* The answer leaves a fixed time after the request came, so that nobody learns from it what was
 * compared: a hash that takes long, one that does not, or none because there is no such client. */
static void reject_password(struct token_call *call)
{
	struct authorization *authorization = call->authorization;
	unsigned long long now_ms = loop_now_ms(authorization->parts.loop);
	struct error err;

	log_warning("wrong password (client=%s, peer=%s)",
		    call->client ? call->client->id : "unknown", call->request->peer_address);
	guesses_count(&authorization->guesses, &call->guess, now_ms);
	if (held_add(&authorization->refused, call->request, call->since_ms + REFUSAL_MS, &err) < 0)
		refuse_busy(call->request, 1, err.message);
}

static void on_password(char *hash, bool matches, void *userdata)
{
	AUTO(free_p) struct token_call *call = userdata;

	(void)hash;
	if (matches && call->client && call->client->is_active)
		accept_password(call);
	else
		reject_password(call);
}

/* Takes @call in every case. */
static void check_password(struct token_call *call, const char *password)
{
	AUTO(free_p) struct token_call *owned = call;
	struct authorization *authorization = call->authorization;
	const char *hash = call->client ? call->client->password_hash
					: authorization->nobody[call->kind];
	struct error err;

	if (call->client && call->client->is_remembered) {
		if (CRYPTO_memcmp(call->client->remembered, call->mark, sizeof(call->mark)) == 0)
			accept_password(call);
		else
			reject_password(call);
		return;
	}
	if (password_submit(authorization->parts.passwords, password, hash, on_password, call,
			    &err) < 0)
		refuse_busy(call->request, 1, err.message);
	else
		(void)TAKE(owned);
}

static void serve_credentials(struct authorization *authorization, enum client_kind kind,
			      struct http_request *request, const char *credentials)
{
	const char *colon = strchr(credentials, ':');
	AUTO(free_p) char *id = strndup(credentials, (size_t)(colon - credentials));
	AUTO(free_p) struct token_call *call = calloc(1, sizeof(*call));
	unsigned wait_s;

	if (!id || !call) {
		refuse_busy(request, 1, "out of memory");
		return;
	}
	*call = (struct token_call){
		.authorization = authorization,
		.request = request,
		.kind = kind,
		.client = client_list_find(authorization->parts.clients, kind, id),
		.guess = guesses_about(&authorization->guesses, (int)kind, id,
				       request->peer_address),
		.since_ms = loop_now_ms(authorization->parts.loop),
	};
	if (call->client && !call->client->is_active)
		call->client = NULL;
	/* A fleet behind one address that has to register anew must not get in its own way. */
	wait_s = guesses_wait_s(&authorization->guesses, &call->guess,
				kind == CLIENT_AGENT || is_known_address(call), call->since_ms);
	if (wait_s > 0) {
		log_debug("password not looked at after many wrong ones (peer=%s)",
			  request->peer_address);
		refuse_busy(request, wait_s, "too many wrong passwords, try again later");
		return;
	}
	mark_password(authorization, credentials, call->mark);
	check_password(TAKE(call), colon + 1);
}

/* "id:password" out of the header, or -1. */
static int read_basic(const char *header, struct buf *ret)
{
	struct error err;

	if (strncasecmp(header, "Basic ", 6) != 0)
		return -1;
	header += 6 + strspn(header + 6, " ");
	if (base64_decode(header, ret, &err) < 0 || ret->len == 0 || strlen(ret->data) != ret->len)
		return -1;
	return strchr(ret->data, ':') ? 0 : -1;
}

void authorization_serve_token(struct authorization *authorization, enum client_kind kind,
			       struct http_request *request)
{
	AUTO(buf_done) struct buf credentials = {0};

	if (strcmp(request->method, "POST") != 0) {
		refuse(request, 405, "invalid_request", "the method must be POST", 0);
		return;
	}
	if (read_basic(request->authorization, &credentials) < 0) {
		refuse(request, 401, "invalid_client",
		       "Basic credentials are missing or ill-formed", 0);
		return;
	}
	serve_credentials(authorization, kind, request, credentials.data);
	OPENSSL_cleanse(credentials.data, credentials.len);
}

/* --- bearer tokens -----------------------------------------------------------------------------
 */

static int verify_own(struct authorization *authorization, enum client_kind kind,
		      const struct token *token, struct verified_token *ret, struct error *err)
{
	const char *id;

	if (key_ring_check(authorization->parts.keys, token, audiences[kind], &ret->expires_s,
			   err) < 0)
		return -1;
	id = json_get_text(token->claims, "sub");
	ret->client = id ? client_list_find(authorization->parts.clients, kind, id) : NULL;
	return ret->client ? 0 : error_set(err, ERR_UNAUTHORIZED, "no such client");
}

static int verify_external(struct authorization *authorization, const struct token *token,
			   struct verified_token *ret, struct error *err)
{
	switch (auth_server_list_verify(authorization->parts.servers, token, &ret->server,
					&ret->expires_s, err)) {
	case AUTH_LATER:
		return error_set(err, ERR_UNAVAILABLE, "its keys are being fetched");
	case AUTH_REFUSED:
		return -1;
	case AUTH_ACCEPTED:
		break;
	}
	ret->client = client_new_external(claims_client_name(token->claims), err);
	if (!ret->client)
		return -1;
	log_info("access token of %s accepted (server=%s)", ret->client->name, ret->server->url);
	return 0;
}

/* Grows when something that was verified may not be relied on any more. */
static unsigned generation(const struct authorization *authorization)
{
	const struct authorization_parts *parts = &authorization->parts;

	return key_ring_n_revocations(parts->keys) +
	       (parts->servers ? parts->servers->generation : 0);
}

static int verify(struct authorization *authorization, enum client_kind kind, const char *text,
		  struct verified_token *ret, struct error *err)
{
	struct verified_token found = {.generation = generation(authorization)};
	struct token token;
	int result;

	if (token_read(&token, text, TOKEN_MAX_BYTES, err) < 0)
		return -1;
	if (key_ring_knows(authorization->parts.keys, &token))
		result = verify_own(authorization, kind, &token, &found, err);
	else if (kind == CLIENT_API && authorization->parts.servers)
		result = verify_external(authorization, &token, &found, err);
	else
		result = error_set(err, ERR_UNAUTHORIZED, "unknown key");
	token_done(&token);
	if (result == 0)
		*ret = found;
	return result;
}

/* The server is only looked at when it cannot have gone since. */
static bool is_current(const struct authorization *authorization,
		       const struct verified_token *known)
{
	return known->generation == generation(authorization) &&
	       (!known->server || auth_server_is_fresh(known->server));
}

/* The last characters of a token are of its signature, and so as good as random: no hash could spread
 * tokens better. Somebody may choose where a token of their own making is looked for, but it is not
 * kept there. */
static struct verified_token *find_place(struct authorization *authorization, const char *token,
					 size_t len)
{
	uint64_t end = 0;

	memcpy(&end, token + (len < sizeof(end) ? 0 : len - sizeof(end)),
	       len < sizeof(end) ? len : sizeof(end));
	return &authorization->verified[end * 0x9e3779b97f4a7c15U >> 32 & (VERIFIED_TOKENS - 1)];
}

/* In a time that does not tell how much of it is right. CRYPTO_memcmp() takes one byte at a time. */
static bool is_same(const char *a, const char *b, size_t len)
{
	uint64_t x, y, difference = 0;

	for (; len >= sizeof(x); a += sizeof(x), b += sizeof(y), len -= sizeof(x)) {
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		difference |= x ^ y;
	}
	return CRYPTO_memcmp(a, b, len) == 0 && difference == 0;
}

static bool is_known(const struct verified_token *known, enum client_kind kind, const char *token,
		     size_t len)
{
	return known->token && known->client->kind == kind && known->len == len &&
	       is_same(known->token, token, len) &&
	       known->expires_s + TOKEN_SKEW_S >= time_now_ms() / 1000;
}

static struct client *verify_once(struct authorization *authorization, enum client_kind kind,
				  const char *token, struct error *err)
{
	size_t len = strlen(token);
	struct verified_token *known = find_place(authorization, token, len), found;

	if (is_known(known, kind, token, len) && is_current(authorization, known))
		return known->client;
	if (verify(authorization, kind, token, &found, err) < 0)
		return NULL;
	found.token = strdup(token);
	found.len = len;
	client_unref(known->client);
	free(known->token); /* NULL, for want of memory: it is verified anew the next time */
	*known = found;
	return known->client;
}

static const struct http_header absent_headers[] = {{"WWW-Authenticate", "Bearer"}, {NULL, NULL}};
static const struct http_header unreadable_headers[] = {
	{"WWW-Authenticate", "Bearer error=\"invalid_request\""}, {NULL, NULL}};
static const struct http_header invalid_headers[] = {
	{"WWW-Authenticate", "Bearer error=\"invalid_token\""}, {NULL, NULL}};
static const struct http_header scope_headers[] = {
	{"WWW-Authenticate", "Bearer error=\"insufficient_scope\""}, {NULL, NULL}};

static int refuse_token(const char *reason, struct error *err)
{
	log_debug("access token refused: %s", reason);
	return error_set(err, ERR_UNAUTHORIZED, "Invalid or expired access token");
}

int authorization_check(struct authorization *authorization, enum client_kind kind, bool has_header,
			const char *header, struct client **ret,
			const struct http_header **ret_headers, struct error *err)
{
	struct client *client;

	*ret_headers = absent_headers;
	if (!has_header)
		return error_set(err, ERR_UNAUTHORIZED, FAILURE_NO_AUTHORIZATION);
	*ret_headers = unreadable_headers;
	if (strncasecmp(header, "Bearer ", 7) != 0 || header[7 + strspn(header + 7, " ")] == '\0')
		return error_set(err, ERR_UNAUTHORIZED, "Invalid authorization header");
	header += 7 + strspn(header + 7, " ");
	*ret_headers = invalid_headers;
	client = verify_once(authorization, kind, header, err);
	if (client && !client->is_active && kind == CLIENT_AGENT)
		return error_set(err, ERR_DENIED, "this client has been unregistered");
	if (client && client->is_active) {
		*ret = client;
		return 0;
	}
	if (client || err->code == ERR_UNAUTHORIZED)
		return refuse_token(client ? "unregistered" : err->message, err);
	*ret_headers = err->code == ERR_DENIED ? scope_headers : NULL;
	if (err->code != ERR_DENIED)
		return -1;
	log_debug("access token refused: %s", err->message);
	return error_set(err, ERR_DENIED, "Insufficient scope");
}

int authorization_hold(struct authorization *authorization, struct http_request *request,
		       struct error *err)
{
	unsigned long long due_ms = authorization->resumed_due_ms;

	if (due_ms == 0)
		due_ms = loop_now_ms(authorization->parts.loop) + WAITING_MS;
	return held_add(&authorization->waiting, request, due_ms, err);
}

static void resume(struct http_request *request, bool is_due, unsigned long long due_ms,
		   void *userdata)
{
	struct authorization *authorization = userdata;
	struct error err;

	if (!is_due) {
		authorization->resumed_due_ms = due_ms; /* waiting once more makes it no later */
		authorization->parts.resume(request, authorization->parts.userdata);
		authorization->resumed_due_ms = 0;
		return;
	}
	(void)refuse_token("its keys did not arrive in time", &err);
	http_reply_error(request, &err, invalid_headers);
}
