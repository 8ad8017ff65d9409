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

int authorization_init(struct authorization *authorization, struct client_list *clients,
		       struct password_queue *passwords, struct token_key *key, struct error *err)
{
	*authorization =
		(struct authorization){.clients = clients, .passwords = passwords, .key = key};
	if (RAND_bytes(authorization->remember_key, sizeof(authorization->remember_key)) != 1)
		return error_set(err, ERR_SYSTEM, "no random numbers");
	authorization->verified = calloc(VERIFIED_TOKENS, sizeof(*authorization->verified));
	return authorization->verified ? 0 : error_oom(err);
}

void authorization_done(struct authorization *authorization)
{
	token_key_free(authorization->key);
	OPENSSL_cleanse(authorization->remember_key, sizeof(authorization->remember_key));
	for (size_t i = 0; authorization->verified && i < VERIFIED_TOKENS; i++)
		free(authorization->verified[i].token);
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
		   const char *description)
{
	static const struct http_header plain[] = {NO_STORE, {NULL, NULL}};
	static const struct http_header basic[] = {
		NO_STORE,
		{"WWW-Authenticate", "Basic realm=\"dcv-session-manager\""},
		{NULL, NULL}};
	static const struct http_header allow[] = {NO_STORE, {"Allow", "POST"}, {NULL, NULL}};
	static const struct http_header later[] = {NO_STORE, {"Retry-After", "1"}, {NULL, NULL}};
	const struct http_header *headers = status == 401   ? basic
					    : status == 405 ? allow
					    : status == 429 ? later
							    : plain;
	struct buf body = {0};
	struct error err;

	if (buf_printf(&body, &err, "{\"error\":\"%s\",\"error_description\":\"%s\"}", error,
		       description) < 0)
		buf_done(&body);
	http_reply(request, status, "application/json", &body, headers);
}

static void refuse_client(struct http_request *request)
{
	refuse(request, 401, "invalid_client", "unknown client or wrong password");
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
		refuse(request, 400, "invalid_request", "grant_type must be given once");
		return false;
	}
	if (strcmp(grant, "client_credentials") != 0) {
		refuse(request, 400, "unsupported_grant_type",
		       "grant_type must be client_credentials");
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
	    token_sign(authorization->key, claims, audiences[client->kind], ACCESS_TOKEN_LIFE_S,
		       &body, &err) < 0 ||
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
	struct client *client;
	unsigned char mark[32]; /* what the client is recognised by if the password is right */
};

static void mark_password(const struct authorization *authorization, const char *credentials,
			  unsigned char ret[32])
{
	unsigned len = 32;

	(void)HMAC(EVP_sha256(), authorization->remember_key, sizeof(authorization->remember_key),
		   (const unsigned char *)credentials, strlen(credentials), ret, &len);
}

static void on_password(char *hash, bool matches, void *userdata)
{
	AUTO(free_p) struct token_call *call = userdata;
	struct client *client = call->client;

	(void)hash;
	if (!matches || !client->is_active) {
		log_warning("wrong password (client=%s, peer=%s)", client->id,
			    call->request->peer_address);
		refuse_client(call->request);
		return;
	}
	memcpy(client->remembered, call->mark, sizeof(call->mark));
	client->is_remembered = true;
	grant_token(call->authorization, call->request, client);
}

static void check_password(struct authorization *authorization, struct http_request *request,
			   struct client *client, const char *credentials)
{
	AUTO(free_p) struct token_call *call = calloc(1, sizeof(*call));
	struct error err;

	if (!call) {
		refuse(request, 429, "temporarily_unavailable", "out of memory");
		return;
	}
	*call = (struct token_call){authorization, request, client, {0}};
	mark_password(authorization, credentials, call->mark);
	if (client->is_remembered) {
		if (CRYPTO_memcmp(client->remembered, call->mark, sizeof(call->mark)) == 0)
			grant_token(authorization, request, client);
		else
			refuse_client(request);
		return;
	}
	if (password_submit(authorization->passwords, strchr(credentials, ':') + 1,
			    client->password_hash, on_password, call, &err) < 0)
		refuse(request, 429, "temporarily_unavailable", err.message);
	else
		(void)TAKE(call);
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
	AUTO(free_p) char *id = NULL;
	struct client *client;

	if (strcmp(request->method, "POST") != 0) {
		refuse(request, 405, "invalid_request", "the method must be POST");
		return;
	}
	if (read_basic(request->authorization, &credentials) < 0) {
		refuse(request, 401, "invalid_client",
		       "Basic credentials are missing or ill-formed");
		return;
	}
	id = strndup(credentials.data, strcspn(credentials.data, ":"));
	client = id ? client_list_find(authorization->clients, kind, id) : NULL;
	if (!client || !client->is_active)
		refuse_client(request);
	else
		check_password(authorization, request, client, credentials.data);
	OPENSSL_cleanse(credentials.data, credentials.len);
}

/* --- bearer tokens -----------------------------------------------------------------------------
 */

static struct client *verify(struct authorization *authorization, enum client_kind kind,
			     const char *token, long long *ret_expires_s, struct error *err)
{
	json_auto_t *claims = NULL;
	const char *id;
	struct client *client;

	if (token_verify(authorization->key, token, audiences[kind], &claims, err) < 0)
		return NULL;
	id = json_get_text(claims, "sub");
	client = id ? client_list_find(authorization->clients, kind, id) : NULL;
	if (!client)
		(void)error_set(err, ERR_UNAUTHORIZED, "no such client");
	*ret_expires_s = json_integer_value(json_object_get(claims, "exp"));
	return client;
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
	struct verified_token *known = find_place(authorization, token, len);
	long long expires_s = 0;
	struct client *client;
	char *copy;

	if (is_known(known, kind, token, len))
		return known->client;
	client = verify(authorization, kind, token, &expires_s, err);
	copy = client ? strdup(token) : NULL;
	if (copy) {
		free(known->token);
		*known = (struct verified_token){copy, len, client, expires_s};
	}
	return client;
}

int authorization_check(struct authorization *authorization, enum client_kind kind, bool has_header,
			const char *header, struct client **ret,
			const struct http_header **ret_headers, struct error *err)
{
	static const struct http_header absent[] = {{"WWW-Authenticate", "Bearer"}, {NULL, NULL}};
	static const struct http_header unreadable[] = {
		{"WWW-Authenticate", "Bearer error=\"invalid_request\""}, {NULL, NULL}};
	static const struct http_header invalid[] = {
		{"WWW-Authenticate", "Bearer error=\"invalid_token\""}, {NULL, NULL}};
	struct client *client;

	if (!has_header) {
		*ret_headers = absent;
		return error_set(err, ERR_UNAUTHORIZED, FAILURE_NO_AUTHORIZATION);
	}
	*ret_headers = unreadable;
	if (strncasecmp(header, "Bearer ", 7) != 0 || header[7 + strspn(header + 7, " ")] == '\0')
		return error_set(err, ERR_UNAUTHORIZED, "Invalid authorization header");
	header += 7 + strspn(header + 7, " ");
	*ret_headers = invalid;
	client = verify_once(authorization, kind, header, err);
	if (client && !client->is_active && kind == CLIENT_AGENT)
		return error_set(err, ERR_DENIED, "this client has been unregistered");
	if (!client || !client->is_active) {
		log_debug("access token refused: %s", client ? "unregistered" : err->message);
		return error_set(err, ERR_UNAUTHORIZED, "Invalid or expired access token");
	}
	*ret = client;
	return 0;
}
