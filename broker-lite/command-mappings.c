/* Commands about the names of servers. */
#include "broker-lite/broker.h"
#include "broker-lite/command.h"
#include "common/json.h"

void command_register_server_dns_mappings(struct broker *broker, const json_t *options,
					  struct http_request *request)
{
	const char *path = json_get_text(options, "file-path");
	const json_t *text = json_object_get(options, COMMAND_FILE_TEXT);
	bool is_replacing = json_is_true(json_object_get(options, "replace"));
	struct command_reply *reply = command_reply_new(broker, request, " %s", "message", "");
	struct buf message = {0};
	struct error err = {0};
	char *shown;
	size_t n;

	if (!reply)
		return;
	if (dns_mappings_put(&broker->mappings, json_string_value(text), json_string_length(text),
			     is_replacing, &n, command_on_stored, reply, &err) < 0) {
		(void)error_prefix(&err, "%s", path);
		command_on_stored(&err, reply);
		return;
	}
	(void)buf_printf(&message, &err,
			 "Successfully loaded %zu server id - dns name mappings from file %s", n,
			 path);
	shown = buf_steal(&message);
	command_reply_set(reply, shown ? shown : ""); /* it is stored on a later turn */
	free(shown);
}

void command_describe_server_dns_mappings(struct broker *broker, const json_t *options,
					  struct http_request *request)
{
	(void)options;
	command_reply_list(request, "", "server-dns-mappings",
			   dns_mappings_to_json(&broker->mappings));
}
