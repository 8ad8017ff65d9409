#include "agent/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tags.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

static int save(const struct server *server, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *object =
		json_pack("{s:s,s:b}", "Id", server->id, "Closed", (int)server->is_closed);

	if (!object)
		return error_oom(err);
	if (json_append(&text, object, err) < 0)
		return -1;
	return file_write_atomic(server->path, text.data, text.len, 0600, err);
}

static int make_id(struct server *server, struct error *err)
{
	AUTO(buf_done) struct buf triple = {0};
	struct buf id = {0};
	char uuid[UUID_SIZE];

	uuid_make(uuid);
	if (buf_printf(&triple, err, "%s-%s-", server->hostname, server->address) < 0)
		return -1;
	for (const char *p = uuid; *p; p++) {
		if (*p != '-' && buf_append(&triple, p, 1, err) < 0)
			return -1;
	}
	if (base64_append(&id, triple.data, triple.len, err) < 0) {
		buf_done(&id);
		return -1;
	}
	server->id = buf_steal(&id);
	return server->id ? save(server, err) : error_oom(err);
}

static int load(struct server *server, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *object = NULL;
	const char *id;

	if (file_read(server->path, 65536, &text, err) < 0)
		return err->code == ERR_NOT_FOUND ? make_id(server, err) : -1;
	if (json_parse(text.data ? text.data : "", text.len, &object, err) < 0)
		return error_prefix(err, "%s", server->path);
	id = json_get_text(object, "Id");
	if (!id || !id[0])
		return error_set(err, ERR_INVALID, "%s: there is no Id in it", server->path);
	server->id = strdup(id);
	server->is_closed = json_is_true(json_object_get(object, "Closed"));
	return server->id ? 0 : error_oom(err);
}

static json_t *load_tags(const struct agent_config *config)
{
	json_auto_t *wrong = json_array();
	json_t *tags = wrong ? tags_load(config, wrong) : NULL;
	json_t *text;
	size_t i;

	json_array_foreach(wrong, i, text) log_error("%s", json_string_value(text));
	return tags;
}

int server_init(struct server *server, const struct agent_config *config,
		const struct session_list *sessions, struct engine *engine,
		const char *state_folder, struct error *err)
{
	*server = (struct server){.config = config, .sessions = sessions, .engine = engine};
	if (inventory_init(&server->inventory, "", err) < 0)
		return -1;
	inventory_hostname(server->hostname, sizeof(server->hostname));
	(void)snprintf(server->dns_name, sizeof(server->dns_name), "%s", server->hostname);
	inventory_address(config->preferred_network_interface, server->address,
			  sizeof(server->address));
	server->tags = load_tags(config);
	if (!server->tags || asprintf(&server->path, "%s/server.json", state_folder) < 0)
		return error_oom(err);
	return load(server, err);
}

void server_done(struct server *server)
{
	free(server->path);
	free(server->id);
	json_decref(server->tags);
	inventory_done(&server->inventory);
	*server = (struct server){0};
}

int server_set_closed(struct server *server, bool is_closed, struct error *err)
{
	bool before = server->is_closed;

	if (before == is_closed)
		return 0;
	server->is_closed = is_closed;
	if (save(server, err) == 0)
		return 0;
	server->is_closed = before;
	return -1;
}

bool server_set_address(struct server *server, const char *address, const char *dns_name)
{
	if (strcmp(server->address, address) == 0 && strcmp(server->dns_name, dns_name) == 0)
		return false;
	(void)snprintf(server->address, sizeof(server->address), "%s", address);
	(void)snprintf(server->dns_name, sizeof(server->dns_name), "%s", dns_name);
	return true;
}

const char *server_unavailability(const struct server *server)
{
	struct session_counts counts = session_list_count(server->sessions, NULL);
	long long most = server->config->max_virtual_sessions;
	struct error ignored;

	if (server->engine->ops->check(server->engine, &ignored) < 0)
		return "UNHEALTHY_DCV_SERVER";
	if (server->is_closed)
		return "SERVER_CLOSED";
	if (counts.n_console > 0 || (most >= 0 && counts.n_managed >= most))
		return "SERVER_FULL";
	return NULL;
}

/* Clients put the port into addresses without asking whether there is one. */
#define NO_PORT "0"

/* An address that stands for all of them is ours. */
static bool is_address(const char *text)
{
	return text && text[0] && strcmp(text, "0.0.0.0") != 0 && strcmp(text, "::") != 0 &&
	       strcmp(text, "*") != 0;
}

/* The engine's endpoints at our address, each once. NULL without memory. */
static json_t *list_endpoints(const struct server *server)
{
	json_auto_t *endpoints = json_array();
	size_t i, j;
	const json_t *given;

	json_array_foreach(server->engine->status.endpoints, i, given)
	{
		json_auto_t *endpoint = json_copy((json_t *)given);

		if (!is_address(json_get_text(endpoint, "IpAddress")))
			json_set_text(endpoint, "IpAddress", server->address);
		for (j = 0; j < json_array_size(endpoints); j++) {
			if (json_equal(json_array_get(endpoints, j), endpoint))
				break;
		}
		if (j == json_array_size(endpoints) && json_array_append(endpoints, endpoint) < 0)
			return NULL;
	}
	return json_incref(endpoints);
}

json_t *server_to_short_json(const struct server *server)
{
	json_auto_t *endpoints = list_endpoints(server);
	const json_t *first = json_array_get(endpoints, 0); /* HTTP, if there is one */
	long long port = json_integer_value(json_object_get(first, "Port"));
	const char *path = json_get_text(first, "WebUrlPath");
	char text[24];

	if (!endpoints)
		return NULL;
	(void)snprintf(text, sizeof(text), "%lld", port);
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:O,s:s,s:O}", "Id", server->id, "Ip",
			 server->address, "Hostname", server->hostname, "DefaultDnsName",
			 server->dns_name, "Port", port > 0 ? text : NO_PORT, "Endpoints",
			 endpoints, "WebUrlPath", path ? path : "/", "Tags", server->tags);
}

json_t *server_to_json(const struct server *server)
{
	struct session_counts counts = session_list_count(server->sessions, NULL);
	const char *reason = server_unavailability(server);
	json_t *object = server_to_short_json(server), *host = inventory_host(&server->inventory);

	if (!object || !host) {
		json_decref(object);
		json_decref(host);
		return NULL;
	}
	json_set_text(object, "Version", server->engine->status.version);
	json_set_text(object, "SessionManagerAgentVersion", VERSION);
	json_set_text(object, "Availability", reason ? "UNAVAILABLE" : "AVAILABLE");
	json_set_text(object, "UnavailabilityReason", reason);
	(void)json_object_set_new(object, "ConsoleSessionCount", json_integer(counts.n_console));
	(void)json_object_set_new(object, "VirtualSessionCount", json_integer(counts.n_virtual));
	(void)json_object_set_new(object, "Host", host);
	return object;
}
