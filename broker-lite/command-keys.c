/* Commands about who signs access tokens: our own keys, and external authorization servers. */
#include "broker-lite/broker.h"
#include "broker-lite/command.h"
#include "common/json.h"

void command_renew_auth_server_api_key(struct broker *broker, const json_t *options,
				       struct http_request *request)
{
	struct command_reply *reply =
		command_reply_new(broker, request, "Keys renewed.", "key-id", "");
	bool revoke_old = json_is_true(json_object_get(options, "revoke-old"));
	char id[UUID_SIZE];
	struct error err = {0};

	if (!reply)
		return;
	if (key_ring_renew(broker->access_keys, revoke_old, id, command_on_stored, reply, &err) < 0)
		command_on_stored(&err, reply);
	else
		command_reply_set(reply, id); /* it is stored on a later turn */
}

void command_register_auth_server(struct broker *broker, const json_t *options,
				  struct http_request *request)
{
	const struct auth_server_options server = {
		.url = json_get_text(options, "url"),
		.algorithms = json_get_text(options, "algorithm"),
		.issuer = json_get_text(options, "issuer"),
		.audience = json_get_text(options, "audience"),
		.scope = json_get_text(options, "scope"),
	};
	struct command_reply *reply =
		command_reply_new(broker, request, "Jwk url registered.", "url", server.url);
	struct error err = {0};

	if (reply && auth_server_list_register(&broker->auth_servers, &server, command_on_stored,
					       reply, &err) < 0)
		command_on_stored(&err, reply);
}

void command_list_auth_servers(struct broker *broker, const json_t *options,
			       struct http_request *request)
{
	const struct sorted *all = &broker->auth_servers.by_url;
	json_t *urls = json_array();

	(void)options;
	for (size_t i = 0; i < all->n; i++) {
		const struct auth_server *server = all->items[i];

		(void)json_array_append_new(urls, json_string(server->url));
	}
	command_reply_list(request, "Urls: ", "urls", urls);
}

void command_unregister_auth_server(struct broker *broker, const json_t *options,
				    struct http_request *request)
{
	const char *url = json_get_text(options, "url");
	struct command_reply *reply =
		command_reply_new(broker, request, "Jwk url%s unregistered", "url", url);
	struct error err = {0};

	if (reply && auth_server_list_unregister(&broker->auth_servers, url, command_on_stored,
						 reply, &err) < 0)
		command_on_stored(&err, reply);
}
