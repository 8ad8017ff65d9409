#include "agent/registration.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/link-protocol.h"
#include "common/log.h"
#include "common/text.h"

#define SOFTWARE_ID "dcv-session-manager-agent"
#define FILE_MAX_BYTES 65536

struct registration {
	const struct agent_config *config;
	struct http_client *client;
	char *path; /* of credentials.json */
	char *client_name;
	char *client_id, *client_secret; /* NULL: not registered */
	char *token;
	unsigned n_refused; /* since the last success */
	registration_fn fn;
	void *userdata;
};

static void replace(char **field, const char *text)
{
	free(*field);
	*field = text ? strdup(text) : NULL;
}

/* Trust in a broker ends with its address: credentials are for one only. */
static bool is_for_this_broker(const struct registration *r, const json_t *object)
{
	const char *host = json_get_text(object, "broker_host");

	return host && strcmp(host, r->config->broker_host) == 0 &&
	       json_integer_value(json_object_get(object, "broker_port")) == r->config->broker_port;
}

static void load(struct registration *r)
{
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *object = NULL;
	struct error err = {0};

	if (file_read(r->path, FILE_MAX_BYTES, &text, &err) < 0 ||
	    json_parse(text.data ? text.data : "", text.len, &object, &err) < 0) {
		if (err.code != ERR_NOT_FOUND)
			log_warning("credentials are left out, registering anew: %s", err.message);
		return;
	}
	if (!is_for_this_broker(r, object))
		return;
	replace(&r->client_id, json_get_text(object, "client_id"));
	replace(&r->client_secret, json_get_text(object, "client_secret"));
}

static int save(const struct registration *r, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *object = json_pack("{s:s,s:I,s:s,s:s}", "broker_host", r->config->broker_host,
					"broker_port", (json_int_t)r->config->broker_port,
					"client_id", r->client_id, "client_secret",
					r->client_secret);

	if (!object)
		return error_oom(err);
	if (json_append(&text, object, err) < 0)
		return -1;
	return file_write_atomic(r->path, text.data, text.len, 0600, err);
}

static void finish(struct registration *r, const struct error *err)
{
	registration_fn fn = r->fn;

	r->fn = NULL;
	fn(err ? NULL : r->token, err, r->userdata);
}

/* What an error answer of the broker says: RFC 6749, 5.2. */
static int refusal(const char *what, int status, const char *body, size_t len,
		   const struct error *failure, struct error *err)
{
	json_auto_t *object = NULL;
	struct error ignored;
	const char *error = NULL, *description = NULL;

	if (status == 0) {
		*err = *failure;
		return error_prefix(err, "%s", what);
	}
	if (json_parse(body, len, &object, &ignored) == 0) {
		error = json_get_text(object, "error");
		description = json_get_text(object, "error_description");
	}
	return error_set(err, status == 401 ? ERR_UNAUTHORIZED : ERR_DENIED,
			 "%s: the broker answered %d%s%s%s%s", what, status, error ? " " : "",
			 error ? error : "", description ? ": " : "",
			 description ? description : "");
}

/* --- token -------------------------------------------------------------------------------------
 */

static void on_token(int status, const char *body, size_t len, const struct error *failure,
		     void *userdata)
{
	struct registration *r = userdata;
	json_auto_t *object = NULL;
	struct error err = {0};
	int result = 0;

	if (status != 200)
		result = refusal("token", status, body, len, failure, &err);
	else if (json_parse(body, len, &object, &err) == 0)
		replace(&r->token, json_get_text(object, "access_token"));
	if (status == 401)
		registration_refused(r);
	if (result == 0 && !r->token)
		result = error_set(&err, ERR_INVALID, "token: the broker's answer has none");
	finish(r, result < 0 ? &err : NULL);
}

static int basic_authorization(const struct registration *r, struct buf *ret, struct error *err)
{
	AUTO(buf_done) struct buf pair = {0};

	if (buf_printf(&pair, err, "%s:%s", r->client_id, r->client_secret) < 0 ||
	    buf_append_text(ret, "Basic ", err) < 0)
		return -1;
	return base64_append(ret, pair.data, pair.len, err);
}

static int ask_token(struct registration *r, struct error *err)
{
	AUTO(buf_done) struct buf authorization = {0};
	struct http_client_request request = {
		.host = r->config->broker_host,
		.port = (int)r->config->broker_port,
		.path = LINK_TOKEN_PATH,
		.content_type = "application/x-www-form-urlencoded",
		.body = "grant_type=client_credentials",
	};

	if (basic_authorization(r, &authorization, err) < 0)
		return -1;
	request.authorization = authorization.data;
	return http_client_post(r->client, &request, on_token, r, err);
}

/* --- registration ------------------------------------------------------------------------------
 */

static int take_client(struct registration *r, const char *body, size_t len, struct error *err)
{
	json_auto_t *object = NULL;

	if (json_parse(body, len, &object, err) < 0)
		return error_prefix(err, "register");
	replace(&r->client_id, json_get_text(object, "client_id"));
	replace(&r->client_secret, json_get_text(object, "client_secret"));
	if (!r->client_id || !r->client_secret)
		return error_set(err, ERR_INVALID, "register: the answer has no credentials");
	log_info("registered at the broker %s (client=%s)", r->config->broker_host, r->client_id);
	/* Without them on disk the next start registers again; this one can go on. */
	if (save(r, err) < 0)
		log_warning("credentials cannot be kept: %s", err->message);
	return ask_token(r, err);
}

static void on_registered(int status, const char *body, size_t len, const struct error *failure,
			  void *userdata)
{
	struct registration *r = userdata;
	struct error err = {0};

	if (status == 201 ? take_client(r, body, len, &err) < 0
			  : refusal("register", status, body, len, failure, &err) < 0)
		finish(r, &err);
}

static int read_statement(const struct registration *r, struct buf *ret, struct error *err)
{
	const char *path = r->config->software_statement_path;

	if (file_read(path, FILE_MAX_BYTES, ret, err) < 0) {
		if (err->code == ERR_NOT_FOUND)
			return error_set(err, ERR_CONFIG,
					 "not registered: there is no software statement at %s; "
					 "see dcv-session-manager-agent join, or copy the broker's "
					 "security/default-software-statement there",
					 path);
		return -1;
	}
	while (ret->len > 0 && strchr(" \t\r\n", ret->data[ret->len - 1]))
		ret->data[--ret->len] = '\0';
	return 0;
}

static int register_client(struct registration *r, struct error *err)
{
	AUTO(buf_done) struct buf statement = {0}, body = {0};
	json_auto_t *object = NULL;
	struct http_client_request request = {
		.host = r->config->broker_host,
		.port = (int)r->config->broker_port,
		.path = LINK_REGISTER_PATH,
		.content_type = "application/json",
	};

	if (read_statement(r, &statement, err) < 0)
		return -1;
	object = json_pack("{s:s,s:s,s:[s],s:s,s:s,s:s}", "software_statement",
			   statement.data ? statement.data : "", "client_name", r->client_name,
			   "grant_types", "client_credentials", "token_endpoint_auth_method",
			   "client_secret_basic", "software_id", SOFTWARE_ID, "software_version",
			   VERSION);
	if (!object)
		return error_set(err, ERR_INVALID, "the software statement is not text");
	if (json_append(&body, object, err) < 0)
		return -1;
	request.body = body.data;
	return http_client_post(r->client, &request, on_registered, r, err);
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
	log_warning("the broker does not know this agent any more: registering anew");
	replace(&r->client_id, NULL);
	replace(&r->client_secret, NULL);
	r->n_refused = 0;
}

void registration_accepted(struct registration *r)
{
	r->n_refused = 0;
}

struct registration *registration_new(const struct agent_config *config, struct http_client *client,
				      const char *state_folder, const char *client_name,
				      struct error *err)
{
	struct registration *r = calloc(1, sizeof(*r));

	if (r && asprintf(&r->path, "%s/credentials.json", state_folder) < 0)
		r->path = NULL;
	if (r)
		replace(&r->client_name, client_name);
	if (!r || !r->path || !r->client_name) {
		registration_free(r);
		(void)error_oom(err);
		return NULL;
	}
	r->config = config;
	r->client = client;
	load(r);
	return r;
}

void registration_free(struct registration *r)
{
	if (!r)
		return;
	free(r->path);
	free(r->client_name);
	free(r->client_id);
	free(r->client_secret);
	free(r->token);
	free(r);
}
