/* Commands about those who may ask for tokens: API clients and agents. */
#include "broker-lite/broker.h"
#include "broker-lite/command.h"
#include "common/json.h"
#include "common/log.h"

static void on_registered(const struct client *client, const char *secret,
			  const struct error *failure, void *userdata)
{
	struct http_request *request = userdata;
	struct buf text = {0};
	struct error err;

	if (failure) {
		command_fail(request, failure);
		return;
	}
	if (buf_printf(&text, &err, "client-id: %s\nclient-password: %s\n", client->id, secret) < 0)
		buf_done(&text);
	command_reply(request, &text,
		      json_pack("{s:s,s:s}", "client-id", client->id, "client-password", secret));
}

void command_register_api_client(struct broker *broker, const json_t *options,
				 struct http_request *request)
{
	struct error err = {0};

	if (registry_add(&broker->registry, CLIENT_API, json_get_text(options, "client-name"),
			 on_registered, request, &err) < 0)
		command_fail(request, &err);
}

static json_t *describe_one(const struct client *client)
{
	json_t *object = json_pack("{s:s,s:s,s:b}", "name", client->name, "id", client->id,
				   "active", client->is_active);

	if (object && client_has_certificate(client)) {
		json_set_text(object, "viewer-certificate-names", client->certificate_names);
		(void)json_object_set_new(
			object, "viewer-certificate-days",
			json_integer((client->certificate_end_s - time_now_ms() / 1000) / 86400));
	}
	return object;
}

static void describe(const struct broker *broker, enum client_kind kind, const char *title,
		     struct http_request *request)
{
	const struct sorted *all = &broker->clients.by_id;
	json_t *list = json_array();

	for (size_t i = 0; i < all->n; i++) {
		const struct client *client = all->items[i];

		if (client->kind == kind)
			(void)json_array_append_new(list, describe_one(client));
	}
	command_reply_list(request, title, "clients", list);
}

void command_describe_api_clients(struct broker *broker, const json_t *options,
				  struct http_request *request)
{
	(void)options;
	describe(broker, CLIENT_API, "Api clients\n", request);
}

void command_describe_agent_clients(struct broker *broker, const json_t *options,
				    struct http_request *request)
{
	(void)options;
	describe(broker, CLIENT_AGENT, "Session manager agent clients\n", request);
}

static void unregister(struct broker *broker, enum client_kind kind, const json_t *options,
		       const char *format, struct http_request *request)
{
	const char *id = json_get_text(options, "client-id");
	struct client *client = client_list_find(&broker->clients, kind, id);
	struct command_reply *reply;
	struct error err = {0};

	if (!client) {
		(void)error_set(&err, ERR_NOT_FOUND, "there is no client of the id '%.80s'", id);
		command_fail(request, &err);
		return;
	}
	client->is_active = false; /* at once, whatever the store says */
	log_info("client unregistered (id=%s, name=%s)", client->id, client->name);
	reply = command_reply_new(broker, request, format, "client-id", id);
	if (!reply)
		return;
	command_reply_drop(reply, client);
	if (client_store(&broker->clients, client, command_on_stored, reply, &err) < 0)
		command_on_stored(&err, reply);
}

void command_unregister_api_client(struct broker *broker, const json_t *options,
				   struct http_request *request)
{
	unregister(broker, CLIENT_API, options, "Client %s unregistered.", request);
}

void command_unregister_agent_client(struct broker *broker, const json_t *options,
				     struct http_request *request)
{
	unregister(broker, CLIENT_AGENT, options, "agent client %s unregistered", request);
}
