#include "broker-lite/route.h"

#include <string.h>

#include "broker-lite/api-file.h"
#include "broker-lite/broker.h"
#include "common/call.h"
#include "common/cleanup.h"
#include "common/link-protocol.h"

#define TOKEN_PATH "/oauth2/token"
#define HEALTH_PATH "/health"
#define API_FILE_PATH "/dcv-session-manager-api.yaml"
#define TOKEN_CHECK_PATH "/agent/validate-authentication-token"
#define RESOLVE_PATH "/resolveSession"
#define READ_METHODS "GET, HEAD"

static void refuse_method(struct http_request *request, const char *allow)
{
	const struct http_header headers[] = {{"Allow", allow}, {NULL, NULL}};
	struct error err;

	(void)error_set(&err, ERR_METHOD, "%s allows %s only", request->path, allow);
	http_reply_error(request, &err, headers);
}

static void refuse_path(struct http_request *request)
{
	struct error err;

	(void)error_set(&err, ERR_NOT_FOUND, "Not found");
	http_reply_error(request, &err, NULL);
}

static bool is_read(const struct http_request *request)
{
	return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

static void serve_health(const struct broker *broker, struct http_request *request)
{
	static const struct http_header later[] = {{"Retry-After", "5"}, {NULL, NULL}};
	struct buf body = {0};
	struct error err = {0};

	if (!is_read(request)) {
		refuse_method(request, READ_METHODS);
	} else if (broker_check_health(broker, &err) < 0) {
		http_reply_error(request, &err, later);
	} else {
		(void)buf_append_text(&body, "{\"status\": \"ok\"}", &err);
		http_reply(request, 200, "application/json", &body, NULL);
	}
}

/* Without credentials: it is fetched before there is a client. */
static void serve_api_file(const struct broker *broker, struct http_request *request)
{
	struct buf body = {0};
	struct error err;

	if (!broker->config.enable_api_yaml)
		refuse_path(request);
	else if (!is_read(request))
		refuse_method(request, READ_METHODS);
	else if (buf_append(&body, api_file, (size_t)(api_file_end - api_file), &err) < 0)
		http_reply_error(request, &err, NULL);
	else
		http_reply(request, 200, "application/yaml", &body, NULL);
}

/* It is no secret, and nobody need trust it: who joins knows its fingerprint. */
static void serve_authority(const struct broker *broker, struct http_request *request)
{
	unsigned char fingerprint[32];
	struct buf body = {0};
	struct error err;

	if (!is_read(request)) {
		refuse_method(request, READ_METHODS);
	} else if (security_append_trust(broker->security, &body, fingerprint, &err) < 0) {
		buf_done(&body);
		http_reply_error(request, &err, NULL);
	} else {
		http_reply(request, 200, "application/x-pem-file", &body, NULL);
	}
}

static void serve_join(struct broker *broker, struct http_request *request)
{
	const struct statement *statement = statement_list_newest(&broker->statements);
	AUTO(buf_done) struct buf authority = {0};
	unsigned char fingerprint[32];
	struct error err;

	if (strcmp(request->method, "POST") != 0)
		refuse_method(request, "POST");
	else if (security_append_trust(broker->security, &authority, fingerprint, &err) < 0)
		http_reply_error(request, &err, NULL);
	else
		join_tokens_serve(&broker->join_tokens, authority.data,
				  statement ? statement->text : NULL, request);
}

void route_client(struct http_request *request, void *userdata)
{
	struct broker *broker = userdata;

	if (strcmp(request->path, HEALTH_PATH) == 0)
		serve_health(broker, request);
	else if (strcmp(request->path, API_FILE_PATH) == 0)
		serve_api_file(broker, request);
	else if (strcmp(request->path, TOKEN_PATH) != 0)
		call_route(&broker->api, request);
	else if (broker->config.enable_authorization_server)
		authorization_serve_token(&broker->authorization, CLIENT_API, request);
	else
		refuse_path(request);
}

void route_agent(struct http_request *request, void *userdata)
{
	struct broker *broker = userdata;

	if (strcmp(request->path, HEALTH_PATH) == 0)
		serve_health(broker, request);
	else if (strcmp(request->path, LINK_TOKEN_PATH) == 0)
		authorization_serve_token(&broker->authorization, CLIENT_AGENT, request);
	else if (strcmp(request->path, LINK_REGISTER_PATH) == 0)
		registry_serve_agent(&broker->registry, request);
	else if (strcmp(request->path, LINK_AUTHORITY_PATH) == 0)
		serve_authority(broker, request);
	else if (strcmp(request->path, LINK_JOIN_PATH) == 0)
		serve_join(broker, request);
	else if (strcmp(request->path, TOKEN_CHECK_PATH) != 0)
		refuse_path(request);
	else if (strcmp(request->method, "POST") == 0)
		connection_serve_check(&broker->connections, request);
	else
		refuse_method(request, "POST");
}

void route_gateway(struct http_request *request, void *userdata)
{
	struct broker *broker = userdata;

	if (strcmp(request->path, HEALTH_PATH) == 0)
		serve_health(broker, request);
	else if (strcmp(request->path, RESOLVE_PATH) != 0)
		refuse_path(request);
	else if (strcmp(request->method, "POST") == 0)
		resolver_serve(&broker->resolver, request);
	else
		refuse_method(request, "POST");
}

void *route_admit(const struct http_request *request, const struct operation *op,
		  const struct http_header **ret_headers, void *userdata, struct error *err)
{
	struct broker *broker = userdata;
	struct client *client = &broker->anybody;

	(void)op; /* every authorized client may do everything */
	if (broker->config.enable_authorization &&
	    authorization_check(&broker->authorization, CLIENT_API, request->has_authorization,
				request->authorization, &client, ret_headers, err) < 0)
		return NULL;
	return client;
}
