#include "broker-lite/resolver.h"

#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/http-form.h"
#include "common/json.h"
#include "common/log.h"

/* The product's own sentence. */
static int fail_to_find(struct error *err)
{
	return error_set(err, ERR_NOT_FOUND,
			 "The requested combination of transport and sessionId does not exist");
}

/* One without a port is none that a gateway can connect to. */
static const json_t *find_endpoint(const json_t *server, const char *protocol)
{
	const json_t *endpoint;
	size_t i;

	json_array_foreach(json_object_get(server, "Endpoints"), i, endpoint)
	{
		const char *own = json_get_text(endpoint, "Protocol");
		json_int_t port = json_integer_value(json_object_get(endpoint, "Port"));

		if (own && strcasecmp(own, protocol) == 0 && port > 0 && port <= 65535)
			return endpoint;
	}
	return NULL;
}

/* QUIC has no path of its own: it is the one of the same server's HTTP. */
static const char *find_path(const json_t *server)
{
	const char *path = json_get_text(find_endpoint(server, "HTTP"), "WebUrlPath");

	if (!path)
		path = json_get_text(server, "WebUrlPath");
	return path && *path ? path : "/";
}

static const char *find_host(const struct resolver *resolver, const json_t *server)
{
	const char *host = dns_mappings_find(resolver->mappings, server);

	if (!host || !*host)
		host = json_get_text(server, "DefaultDnsName");
	if (!host || !*host)
		host = json_get_text(server, "Hostname");
	return host && *host ? host : NULL;
}

static int resolve(const struct resolver *resolver, const char *id, const char *transport,
		   json_t **ret, struct error *err)
{
	const struct session *session = session_list_find_any(resolver->sessions, id);
	const struct server *server = session ? session->server : NULL;
	const json_t *endpoint;
	const char *host;

	if (!server || session->is_hidden || session->state != READY || !server->agent ||
	    !server->report)
		return fail_to_find(err);
	endpoint = find_endpoint(server->report, transport);
	host = find_host(resolver, server->report);
	if (!endpoint || !host)
		return fail_to_find(err);
	*ret = json_pack("{s:s,s:s,s:s,s:I,s:s}", "SessionId", session->id, "TransportProtocol",
			 transport, "DcvServerEndpoint", host, "Port",
			 json_integer_value(json_object_get(endpoint, "Port")), "WebUrlPath",
			 find_path(server->report));
	return *ret ? 0 : error_oom(err);
}

void resolver_serve(const struct resolver *resolver, struct http_request *request)
{
	AUTO(free_p) char *id = http_form_value(request->query, "sessionId");
	AUTO(free_p) char *transport = http_form_value(request->query, "transport");
	json_auto_t *reply = NULL;
	struct buf body = {0};
	struct error err = {0};

	if (!id || !*id)
		(void)error_set(&err, ERR_INVALID, "sessionId is missing");
	else if (!transport)
		(void)error_set(&err, ERR_INVALID, "transport is missing");
	else if (strcmp(transport, "HTTP") != 0 && strcmp(transport, "QUIC") != 0)
		(void)error_set(&err, ERR_INVALID, "transport must be HTTP or QUIC");
	else if (resolve(resolver, id, transport, &reply, &err) == 0)
		(void)json_append(&body, reply, &err);
	if (err.code != ERR_NONE) {
		log_debug("session %s is not resolved: %s (peer=%s)", id ? id : "?", err.message,
			  request->peer_address);
		buf_done(&body);
		http_reply_error(request, &err, NULL);
		return;
	}
	http_reply(request, 200, "application/json", &body, NULL);
}
