#include "ctl/service.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "ctl/url.h"

struct service {
	const struct config *config;
	struct client *client;
	char *token; /* fetched when first needed; never printed, never stored */
};

void service_free(struct service *service)
{
	if (!service)
		return;
	client_free(service->client);
	free(service->token);
	free(service);
}

int service_new(const struct config *config, struct service **ret, struct error *err)
{
	AUTO(service_free_p) struct service *service = calloc(1, sizeof(*service));

	if (!service)
		return error_oom(err);
	service->config = config;
	if (client_new(config, &service->client, err) < 0)
		return -1;
	*ret = TAKE(service);
	return 0;
}

/* The "error" of an error's body, which is the API's form and that of token servers. */
static enum exit_status refuse(const struct client_response *response, const char *who,
			       struct error *err)
{
	json_auto_t *body = NULL;
	struct error ignored;
	const char *text = NULL, *description = NULL;

	if (json_parse(response->body.data, response->body.len, &body, &ignored) == 0) {
		text = json_get_text(body, "error");
		description = json_get_text(body, "error_description");
	}
	(void)error_set(err, ERR_DENIED, "%s answered HTTP %ld%s%s%s%s", who, response->status,
			text ? ": " : "", text ? text : "", description ? ": " : "",
			description ? description : "");
	return STATUS_REFUSED;
}

/* One exchange: anything but a 2xx status with a JSON object is an error. */
static enum exit_status exchange(struct service *service, const struct client_request *request,
				 const char *who, struct client_response *response,
				 json_t **ret_answer, struct error *err)
{
	json_auto_t *answer = NULL;

	if (client_ask(service->client, request, response, err) < 0)
		return err->code == ERR_CONFIG ? STATUS_SETTINGS : STATUS_OTHER;
	if (response->status < 200 || response->status > 299)
		return refuse(response, who, err);
	/* The parser's sentence quotes the text, and a token may stand there. */
	if (json_parse(response->body.data, response->body.len, &answer, err) < 0) {
		(void)error_set(err, ERR_INVALID, "%s answered HTTP %ld, but not with JSON", who,
				response->status);
		return STATUS_OTHER;
	}
	if (!json_is_object(answer)) {
		(void)error_set(err, ERR_INVALID, "%s answered with JSON that is no object", who);
		return STATUS_OTHER;
	}
	*ret_answer = TAKE(answer);
	return STATUS_SUCCESS;
}

/* Nothing that could end a header line. */
static bool is_token(const char *text)
{
	for (const char *p = text; p && *p; p++) {
		if (*p <= ' ' || *p == 0x7f)
			return false;
	}
	return text && *text;
}

static enum exit_status keep_token(struct service *service, const char *token, struct error *err)
{
	service->token = strdup(token);
	if (service->token)
		return STATUS_SUCCESS;
	(void)error_oom(err);
	return STATUS_OTHER;
}

/* Source: RFC 6749, 4.4; the CLI reference, "Token handling". */
static enum exit_status fetch_token(struct service *service, struct error *err)
{
	const struct config *config = service->config;
	AUTO(client_response_done) struct client_response response = {0};
	json_auto_t *answer = NULL;
	AUTO(free_p) char *url = NULL;
	struct client_request request = {
		.method = "POST",
		.content_type = "application/x-www-form-urlencoded",
		.user = config->client_id,
		.password = config->client_password,
	};
	enum exit_status status;

	if (url_of_token(config->auth_server_url, config->broker_url, &url, err) < 0)
		return STATUS_OTHER;
	request.url = url;
	status = exchange(service, &request, "the token server", &response, &answer, err);
	if (status != STATUS_SUCCESS)
		return status;
	if (!is_token(json_get_text(answer, "access_token"))) {
		(void)error_set(err, ERR_INVALID, "the token server's answer holds no token");
		return STATUS_OTHER;
	}
	log_debug("got a token");
	return keep_token(service, json_get_text(answer, "access_token"), err);
}

/* The agent's socket and brokers without authorization take none. */
static enum exit_status need_token(struct service *service, struct error *err)
{
	const struct config *config = service->config;

	if (config->socket || service->token)
		return STATUS_SUCCESS;
	if (!config->token)
		return config->client_id ? fetch_token(service, err) : STATUS_SUCCESS;
	if (!is_token(config->token)) {
		(void)error_set(err, ERR_CONFIG, "DCV_SM_OAUTH2_TOKEN does not hold a token");
		return STATUS_SETTINGS;
	}
	return keep_token(service, config->token, err);
}

enum exit_status service_call(struct service *service, const char *method, const char *path,
			      const struct buf *body, struct client_response *ret_response,
			      json_t **ret_answer, struct error *err)
{
	const struct config *config = service->config;
	AUTO(free_p) char *url = NULL;
	struct client_request request = {.method = method, .body = body};
	enum exit_status status = need_token(service, err);

	if (status != STATUS_SUCCESS)
		return status;
	if (url_join(config->socket ? "http://localhost" : config->broker_url, path, &url, err) < 0)
		return STATUS_OTHER;
	request.url = url;
	request.token = service->token;
	if (body->len > 0)
		request.content_type = "application/json";
	return exchange(service, &request, config->socket ? "the agent" : "the broker",
			ret_response, ret_answer, err);
}
