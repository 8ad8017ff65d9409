#include "tests/doubles/fleet/registration.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/link-protocol.h"
#include "common/text.h"

static void replace(char **field, const char *text)
{
	free(*field);
	*field = text ? strdup(text) : NULL;
}

static void finish(struct registration *r, const struct error *err)
{
	registration_fn fn = TAKE(r->fn);

	fn(err ? NULL : r->token, err, r->userdata);
}

/* The object of an answer with the wanted status. */
static int read_answer(const char *what, int wanted, int status, const char *body, size_t len,
		       const struct error *failure, json_t **ret, struct error *err)
{
	if (status == 0) {
		*err = *failure;
		return error_prefix(err, "%s", what);
	}
	if (status != wanted)
		return error_set(err, ERR_DENIED, "%s: the broker answered %d: %.*s", what, status,
				 len > 200 ? 200 : (int)len, body);
	if (json_parse(body, len, ret, err) < 0)
		return error_prefix(err, "%s", what);
	return 0;
}

static void on_token(int status, const char *body, size_t len, const struct error *failure,
		     void *userdata)
{
	struct registration *r = userdata;
	json_auto_t *object = NULL;
	struct error err = {0};
	int result = read_answer("token", 200, status, body, len, failure, &object, &err);

	if (status == 401)
		registration_refused(r);
	if (result == 0) {
		replace(&r->token, json_get_text(object, "access_token"));
		if (!r->token)
			result = error_set(&err, ERR_INVALID, "token: the answer has none");
	}
	finish(r, result < 0 ? &err : NULL);
}

static int ask_token(struct registration *r, struct error *err)
{
	AUTO(buf_done) struct buf pair = {0}, authorization = {0};
	struct http_client_request request = {
		.host = r->broker->host,
		.port = r->broker->port,
		.path = LINK_TOKEN_PATH,
		.content_type = "application/x-www-form-urlencoded",
		.body = "grant_type=client_credentials",
	};

	if (buf_printf(&pair, err, "%s:%s", r->client_id, r->client_secret) < 0 ||
	    buf_append_text(&authorization, "Basic ", err) < 0 ||
	    base64_append(&authorization, pair.data, pair.len, err) < 0)
		return -1;
	request.authorization = authorization.data;
	return http_client_post(r->broker->client, &request, on_token, r, err);
}

static void on_registered(int status, const char *body, size_t len, const struct error *failure,
			  void *userdata)
{
	struct registration *r = userdata;
	json_auto_t *object = NULL;
	struct error err = {0};
	int result = read_answer("register", 201, status, body, len, failure, &object, &err);

	if (result == 0) {
		replace(&r->client_id, json_get_text(object, "client_id"));
		replace(&r->client_secret, json_get_text(object, "client_secret"));
		result = r->client_id && r->client_secret
				 ? ask_token(r, &err)
				 : error_set(&err, ERR_INVALID, "register: no credentials");
	}
	if (result < 0)
		finish(r, &err);
}

static int register_client(struct registration *r, struct error *err)
{
	AUTO(buf_done) struct buf body = {0};
	json_auto_t *object =
		json_pack("{s:s,s:s,s:[s],s:s,s:s,s:s}", "software_statement", r->broker->statement,
			  "client_name", r->client_name, "grant_types", "client_credentials",
			  "token_endpoint_auth_method", "client_secret_basic", "software_id",
			  "dcv-session-manager-fleet", "software_version", VERSION);
	struct http_client_request request = {
		.host = r->broker->host,
		.port = r->broker->port,
		.path = LINK_REGISTER_PATH,
		.content_type = "application/json",
	};

	if (!object)
		return error_set(err, ERR_INVALID, "the software statement is not text");
	if (json_append(&body, object, err) < 0)
		return -1;
	request.body = body.data;
	return http_client_post(r->broker->client, &request, on_registered, r, err);
}

void registration_get_token(struct registration *r, registration_fn fn, void *userdata)
{
	struct error err = {0};

	r->fn = fn;
	r->userdata = userdata;
	if (r->token)
		finish(r, NULL);
	else if ((r->client_id ? ask_token(r, &err) : register_client(r, &err)) < 0)
		finish(r, &err);
}

void registration_refused(struct registration *r)
{
	replace(&r->token, NULL);
	if (++r->n_refused < 2)
		return;
	replace(&r->client_id, NULL);
	replace(&r->client_secret, NULL);
	r->n_refused = 0;
}

void registration_accepted(struct registration *r)
{
	r->n_refused = 0;
}

void registration_done(struct registration *r)
{
	free(r->client_id);
	free(r->client_secret);
	free(r->token);
}
