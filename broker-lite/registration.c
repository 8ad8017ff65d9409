#include "broker-lite/registration.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"

struct registration {
	struct registry *registry;
	enum client_kind kind;
	char *name;
	char secret[PASSWORD_LENGTH + 1];
	struct client *client;
	registered_fn fn;
	void *userdata;
};

static void registration_free(struct registration *r)
{
	OPENSSL_cleanse(r->secret, sizeof(r->secret));
	client_free(r->client);
	free(r->name);
	free(r);
}

static void registration_fail(struct registration *r, const struct error *err)
{
	r->fn(NULL, NULL, err, r->userdata);
	registration_free(r);
}

static int check_name(const struct registry *registry, enum client_kind kind, const char *name,
		      struct error *err)
{
	if (!*name || strlen(name) > CLIENT_NAME_MAX_BYTES)
		return error_set(err, ERR_INVALID, "a client's name has 1 to %d bytes",
				 CLIENT_NAME_MAX_BYTES);
	if (kind == CLIENT_API && client_list_has_name(registry->clients, kind, name))
		return error_set(err, ERR_CONFLICT, "a client of the name '%s' exists", name);
	return 0;
}

static void on_stored(const struct error *err, void *userdata)
{
	struct registration *r = userdata;
	struct error own;
	const struct client *client;

	/* Two of one name may have been on their way together. */
	if (!err && (check_name(r->registry, r->kind, r->name, &own) < 0 ||
		     client_list_add(r->registry->clients, r->client, &own) < 0)) {
		struct error ignored; /* nobody was told its password */

		(void)store_remove(r->registry->clients->store, STORE_CLIENT, r->client->id, NULL,
				   NULL, &ignored);
		err = &own;
	}
	if (err) {
		registration_fail(r, err);
		return;
	}
	client = TAKE(r->client);
	log_info("client registered (kind=%s, id=%s, name=%s)",
		 r->kind == CLIENT_API ? "api" : "agent", client->id, client->name);
	r->fn(client, r->secret, NULL, r->userdata);
	registration_free(r);
}

static void on_hashed(char *hash, bool matches, void *userdata)
{
	AUTO(free_p) char *owned = hash;
	struct registration *r = userdata;
	struct error err = {0};
	char id[UUID_SIZE];

	(void)matches;
	uuid_make(id);
	if (!owned)
		(void)error_set(&err, ERR_SYSTEM, "cannot hash a password");
	else
		r->client = client_new(r->kind, id, r->name, owned, &err);
	if (!r->client || client_store(r->registry->clients, r->client, on_stored, r, &err) < 0)
		registration_fail(r, &err);
}

/* 122 random bits in the form that clients have always been given: Base64 of a UUID. */
static void make_secret(char ret[PASSWORD_LENGTH + 1])
{
	char id[UUID_SIZE];

	uuid_make(id);
	(void)EVP_EncodeBlock((unsigned char *)ret, (const unsigned char *)id, UUID_SIZE - 1);
	OPENSSL_cleanse(id, sizeof(id));
}

int registry_add(struct registry *registry, enum client_kind kind, const char *name,
		 registered_fn fn, void *userdata, struct error *err)
{
	struct registration *r;

	if (check_name(registry, kind, name, err) < 0)
		return -1;
	r = calloc(1, sizeof(*r));
	if (!r)
		return error_oom(err);
	r->registry = registry;
	r->kind = kind;
	r->fn = fn;
	r->userdata = userdata;
	r->name = strdup(name);
	make_secret(r->secret);
	if (!r->name) {
		registration_free(r);
		return error_oom(err);
	}
	if (kind == CLIENT_AGENT) {
		on_hashed(password_hash_random(r->secret, err), false, r);
		return 0;
	}
	if (password_submit(registry->passwords, r->secret, NULL, on_hashed, r, err) == 0)
		return 0;
	registration_free(r);
	return -1;
}

/* --- agents ------------------------------------------------------------------------------------
 */

static const struct http_header no_store[] = {{"Cache-Control", "no-store"}, {NULL, NULL}};

static void refuse(struct registry *registry, struct http_request *request, const char *error,
		   const char *description)
{
	struct buf body = {0};
	struct error err;

	if (log_limit_passes(&registry->refusals, "agents not registered"))
		log_warning("agent not registered: %s (peer=%s)", description,
			    request->peer_address);
	if (buf_printf(&body, &err, "{\"error\":\"%s\",\"error_description\":", error) < 0 ||
	    json_append_string(&body, description, &err) < 0 ||
	    buf_append_text(&body, "}", &err) < 0)
		buf_done(&body);
	http_reply(request, 400, "application/json", &body, no_store);
}

static void on_agent_registered(const struct client *client, const char *secret,
				const struct error *failure, void *userdata)
{
	struct http_request *request = userdata;
	struct buf body = {0};
	struct error err;
	json_auto_t *reply = NULL;

	if (!failure)
		reply = json_pack("{s:s,s:s,s:I,s:i,s:s,s:[s],s:s}", "client_id", client->id,
				  "client_secret", secret, "client_id_issued_at",
				  (json_int_t)(time_now_ms() / 1000), "client_secret_expires_at", 0,
				  "client_name", client->name, "grant_types", "client_credentials",
				  "token_endpoint_auth_method", "client_secret_basic");
	if (failure || !reply || json_append(&body, reply, &err) < 0) {
		(void)error_set(&err, ERR_UNAVAILABLE, "cannot register now");
		http_reply_error(request, &err, no_store);
		return;
	}
	http_reply(request, 201, "application/json", &body, no_store);
}

void registry_serve_agent(struct registry *registry, struct http_request *request)
{
	static const struct http_header allow[] = {{"Allow", "POST"}, {NULL, NULL}};
	json_auto_t *body = NULL;
	const char *text, *name;
	struct statement *statement;
	struct error err = {0};

	if (strcmp(request->method, "POST") != 0) {
		(void)error_set(&err, ERR_METHOD, "the method must be POST");
		http_reply_error(request, &err, allow);
		return;
	}
	if (json_parse(request->body.data ? request->body.data : "", request->body.len, &body,
		       &err) < 0) {
		refuse(registry, request, "invalid_client_metadata", err.message);
		return;
	}
	text = json_get_text(body, "software_statement");
	name = json_get_text(body, "client_name");
	if (!name || !*name || strlen(name) > CLIENT_NAME_MAX_BYTES) {
		refuse(registry, request, "invalid_client_metadata",
		       "client_name is missing or too long");
		return;
	}
	if (!text || statement_list_find(registry->statements, text, &statement, &err) < 0) {
		refuse(registry, request,
		       text && err.code == ERR_DENIED ? "unapproved_software_statement"
						      : "invalid_software_statement",
		       text ? err.message : "software_statement is missing");
		return;
	}
	if (registry_add(registry, CLIENT_AGENT, name, on_agent_registered, request, &err) < 0)
		http_reply_error(request, &err, no_store);
}
