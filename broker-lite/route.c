#include "broker-lite/route.h"

#include <string.h>
#include <time.h>

#include "broker-lite/api-file.h"
#include "broker-lite/audit-change.h"
#include "broker-lite/broker.h"
#include "common/call.h"
#include "common/cleanup.h"
#include "common/link-protocol.h"
#include "common/request-log.h"

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
	char date[40];
	/* By the date a host sees whether its clock is ours. */
	const struct http_header well[] = {{"Date", date}, {NULL, NULL}};
	const struct http_header later[] = {{"Date", date}, {"Retry-After", "5"}, {NULL, NULL}};
	struct buf body = {0};
	struct error err = {0};
	time_t now = time(NULL);
	struct tm parts;

	(void)strftime(date, sizeof(date), HTTP_DATE_FORMAT, gmtime_r(&now, &parts));
	if (!is_read(request)) {
		refuse_method(request, READ_METHODS);
	} else if (broker_check_health(broker, &err) < 0) {
		http_reply_error(request, &err, later);
	} else {
		(void)buf_append_text(&body, "{\"status\": \"ok\"}", &err);
		http_reply(request, 200, "application/json", &body, well);
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

static bool is_throttled(struct broker *broker, struct http_request *request)
{
	static const struct http_header later[] = {{"Retry-After", "1"}, {NULL, NULL}};
	struct error err;

	if (throttle_admit(broker->throttle, request->peer_address,
			   broker->config.enable_forwarded_for ? request->forwarded_for : NULL,
			   loop_now_ms(&broker->loop)))
		return false;
	(void)error_set(&err, ERR_LIMIT, "Too many requests: at most %lld in a second",
			broker->config.max_requests_per_s);
	http_reply_error(request, &err, later);
	return true;
}

static bool is_draining(const struct broker *broker, struct http_request *request)
{
	struct error err;

	if (!broker->drain)
		return false;
	(void)error_set(&err, ERR_UNAVAILABLE, "The broker is stopping");
	http_reply_error(request, &err, NULL);
	return true;
}

/* The health check is for load balancers, which must not take a flood for the end of the broker: it is
 * neither throttled nor counted. */
void route_client(struct http_request *request, void *userdata)
{
	struct broker *broker = userdata;

	if (strcmp(request->path, HEALTH_PATH) == 0)
		serve_health(broker, request);
	else if (is_throttled(broker, request) || is_draining(broker, request))
		return;
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
	else if (is_draining(broker, request))
		return;
	else if (strcmp(request->path, RESOLVE_PATH) != 0)
		refuse_path(request);
	else if (strcmp(request->method, "POST") == 0)
		resolver_serve(&broker->resolver, request);
	else
		refuse_method(request, "POST");
}

void *route_admit(struct http_request *request, const struct operation *op,
		  const struct http_header **ret_headers, void *userdata, struct error *err)
{
	struct broker *broker = userdata;
	struct client *client;

	(void)op; /* every authorized client may do everything */
	if (!broker->config.enable_authorization)
		return &broker->anybody;
	if (authorization_check(&broker->authorization, CLIENT_API, request->has_authorization,
				request->authorization, &client, ret_headers, err) == 0)
		return client_ref(client);
	if (err->code == ERR_UNAVAILABLE &&
	    authorization_hold(&broker->authorization, request, err) == 0)
		err->code = ERR_NONE;
	return NULL;
}

void route_release(void *caller)
{
	client_unref(caller);
}

void route_resume(struct http_request *request, void *userdata)
{
	struct broker *broker = userdata;

	call_route(&broker->api, request);
}

/* --- what is told ------------------------------------------------------------------------------
 */

static enum metrics_endpoint endpoint_of(const struct http_request *request)
{
	static const struct {
		const char *path;
		enum metrics_endpoint endpoint;
	} known[] = {
		{HEALTH_PATH, ENDPOINT_HEALTH},
		{TOKEN_PATH, ENDPOINT_TOKEN},
		{API_FILE_PATH, ENDPOINT_API_FILE},
		{LINK_REGISTER_PATH, ENDPOINT_AGENT_REGISTRATION},
		{TOKEN_CHECK_PATH, ENDPOINT_TOKEN_CHECK},
	};

	if (request->note.operation)
		return (enum metrics_endpoint)request->note.operation->id;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].path, request->path) == 0)
			return known[i].endpoint;
	}
	return ENDPOINT_OTHER;
}

static void tell(struct broker *broker, const struct http_request *request, int status,
		 enum metrics_endpoint endpoint)
{
	const struct client *client = request->note.caller;

	metrics_count_request(&broker->metrics, endpoint, status,
			      (double)(uv_hrtime() - request->began_ns) / 1e9);
	request_log(request, status, client ? client->id : NULL, &broker->strangers);
}

void route_client_replied(const struct http_request *request, int status, const struct buf *body,
			  void *userdata)
{
	(void)body;
	tell(userdata, request, status, endpoint_of(request));
}

void route_agent_replied(const struct http_request *request, int status, const struct buf *body,
			 void *userdata)
{
	enum metrics_endpoint endpoint = endpoint_of(request);

	if (endpoint == ENDPOINT_TOKEN)
		endpoint = ENDPOINT_AGENT_TOKEN;
	else if (endpoint == ENDPOINT_AGENT_REGISTRATION)
		audit_registration(request, status, body, userdata);
	tell(userdata, request, status, endpoint);
}

void route_gateway_replied(const struct http_request *request, int status, const struct buf *body,
			   void *userdata)
{
	(void)body;
	tell(userdata, request, status, endpoint_of(request));
}
