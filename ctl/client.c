#include "ctl/client.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/log.h"

#define CONNECT_TIMEOUT_S 10L

struct client {
	const struct config *config;
	CURL *curl; /* kept, and with it the connection */
	char problem[CURL_ERROR_SIZE];
};

/* Where the bytes of an answer go. */
struct sink {
	struct buf *body;
	struct error *err; /* code set once the answer is refused */
};

static void slist_free_p(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

void client_free(struct client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	free(client);
	curl_global_cleanup();
}

void client_response_done(struct client_response *response)
{
	buf_done(&response->body);
}

int client_new(const struct config *config, struct client **ret, struct error *err)
{
	AUTO(client_free_p) struct client *client = NULL;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, ERR_SYSTEM, "libcurl cannot start");
	client = calloc(1, sizeof(*client));
	if (!client) {
		curl_global_cleanup();
		return error_oom(err);
	}
	client->config = config;
	client->curl = curl_easy_init();
	if (!client->curl)
		return error_oom(err);
	*ret = TAKE(client);
	return 0;
}

static size_t receive(char *bytes, size_t size, size_t n, void *userdata)
{
	struct sink *sink = userdata;

	if (size * n > ANSWER_MAX_BYTES - sink->body->len) {
		(void)error_set(sink->err, ERR_TOO_LARGE, "the answer is larger than %d MiB",
				ANSWER_MAX_BYTES >> 20);
		return 0;
	}
	return buf_append(sink->body, bytes, size * n, sink->err) < 0 ? 0 : size * n;
}

/* Options are set in a row, and the first failure is kept. */
#define SET(option, value) rc = rc == CURLE_OK ? curl_easy_setopt(curl, option, value) : rc

/* What is the same for every request. A proxy would carry what is meant for this host elsewhere. */
static int set_up(struct client *client, struct error *err)
{
	const struct config *config = client->config;
	CURL *curl = client->curl;
	CURLcode rc = CURLE_OK;

	curl_easy_reset(curl);
	SET(CURLOPT_ERRORBUFFER, client->problem);
	SET(CURLOPT_USERAGENT, "dcvctl/" VERSION);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	SET(CURLOPT_TIMEOUT, (long)config->timeout_s);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (config->socket) {
		SET(CURLOPT_UNIX_SOCKET_PATH, config->socket);
		SET(CURLOPT_PROXY, "");
	}
	if (config->ca_bundle)
		SET(CURLOPT_CAINFO, config->ca_bundle);
	if (config->no_verify_ssl) {
		SET(CURLOPT_SSL_VERIFYPEER, 0L);
		SET(CURLOPT_SSL_VERIFYHOST, 0L);
	}
	return rc == CURLE_OK ? 0 : error_set(err, ERR_SYSTEM, "%s", curl_easy_strerror(rc));
}

static int add_header(struct curl_slist **headers, const char *name, const char *value,
		      struct error *err)
{
	AUTO(free_p) char *line = NULL;
	struct curl_slist *longer;

	if (asprintf(&line, "%s:%s%s", name, *value ? " " : "", value) < 0) {
		line = NULL;
		return error_oom(err);
	}
	longer = curl_slist_append(*headers, line);
	if (!longer)
		return error_oom(err);
	*headers = longer;
	return 0;
}

static int set_request(struct client *client, const struct client_request *request,
		       struct curl_slist **headers, struct error *err)
{
	CURL *curl = client->curl;
	CURLcode rc = CURLE_OK;

	/* "Expect" without a value: large bodies go at once instead of after a second. */
	if (add_header(headers, "Accept", "application/json", err) < 0 ||
	    add_header(headers, "Expect", "", err) < 0 ||
	    (request->content_type &&
	     add_header(headers, "Content-Type", request->content_type, err) < 0))
		return -1;
	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_HTTPHEADER, *headers);
	if (strncasecmp(request->url, "http:", 5) == 0)
		SET(CURLOPT_PROXY, "");
	if (request->content_type) {
		SET(CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)(request->body ? request->body->len : 0));
		SET(CURLOPT_POSTFIELDS, request->body ? request->body->data : "");
		SET(CURLOPT_CUSTOMREQUEST, request->method);
	}
	if (request->user) {
		SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		SET(CURLOPT_USERNAME, request->user);
		SET(CURLOPT_PASSWORD, request->password);
	} else if (request->token) {
		SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		SET(CURLOPT_XOAUTH2_BEARER, request->token);
	}
	return rc == CURLE_OK ? 0 : error_set(err, ERR_SYSTEM, "%s", curl_easy_strerror(rc));
}

static enum error_code code_of(CURLcode rc)
{
	switch (rc) {
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_SSL_CACERT_BADFILE:
		return ERR_CONFIG;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NO_MEMORY;
	default:
		return ERR_UNREACHABLE;
	}
}

/* libcurl's sentence names a port, which a Unix socket has not. */
static int fail_socket(const struct client *client, CURLcode rc, const char *text,
		       struct error *err)
{
	const char *path = client->config->socket;
	long number = 0;

	(void)curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &number);
	if (rc == CURLE_COULDNT_CONNECT && number != 0)
		text = strerror((int)number);
	return error_set(err, code_of(rc), "the agent's socket %s: %s", path, text);
}

/* A URL without its query, which may hold what is nobody's business. */
static int fail(const struct client *client, const char *url, CURLcode rc, struct error *err)
{
	const char *text = client->problem[0] ? client->problem : curl_easy_strerror(rc);

	if (client->config->socket)
		return fail_socket(client, rc, text, err);
	return error_set(err, code_of(rc), "%.*s: %s", (int)strcspn(url, "?"), url, text);
}

int client_ask(struct client *client, const struct client_request *request,
	       struct client_response *ret, struct error *err)
{
	AUTO(slist_free_p) struct curl_slist *headers = NULL;
	struct error refusal = {0};
	struct sink sink = {&ret->body, &refusal};
	double seconds = 0;
	CURLcode rc;

	buf_done(&ret->body);
	client->problem[0] = '\0';
	if (set_up(client, err) < 0 || set_request(client, request, &headers, err) < 0)
		return -1;
	(void)curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, receive);
	(void)curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &sink);
	log_debug("%s %.*s (%zu bytes)", request->method, (int)strcspn(request->url, "?"),
		  request->url, request->body ? request->body->len : 0);
	rc = curl_easy_perform(client->curl);
	if (refusal.code != ERR_NONE) {
		*err = refusal;
		return -1;
	}
	if (rc != CURLE_OK)
		return fail(client, request->url, rc, err);
	(void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &ret->status);
	(void)curl_easy_getinfo(client->curl, CURLINFO_TOTAL_TIME, &seconds);
	log_debug("status %ld, %zu bytes after %.3f s", ret->status, ret->body.len, seconds);
	return 0;
}
