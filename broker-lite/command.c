#include "broker-lite/command.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker-lite/broker.h"
#include "broker-lite/placement.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/requests.h"

/* @value: of the option; "" if the command has none, NULL if it was not given. The answer may come later. */
typedef void (*command_fn)(struct broker *broker, const char *value, struct http_request *request);

#define COMMAND(id, name, option, alias, value, is_required, help)                                 \
	static void command_##id(struct broker *broker, const char *value_,                        \
				 struct http_request *request);
#include "broker-lite/commands.def"
#undef COMMAND

const struct command commands[] = {
#define COMMAND(id, name, option, alias, value, is_required, help)                                 \
	{name, option, alias, value, is_required, help},
#include "broker-lite/commands.def"
#undef COMMAND
};
const size_t n_commands = ARRAY_SIZE(commands);

static const command_fn functions[] = {
#define COMMAND(id, name, option, alias, value, is_required, help) command_##id,
#include "broker-lite/commands.def"
#undef COMMAND
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < n_commands; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* --- answers -----------------------------------------------------------------------------------
 */

/* {"text": what people read, "result": what --json prints}; both are taken. */
static void reply(struct http_request *request, struct buf *text, json_t *result)
{
	AUTO(buf_done) struct buf shown = *text;
	struct buf body = {0};
	struct error err = {0};
	json_auto_t *object =
		json_pack("{s:s,s:o}", "text", shown.data ? shown.data : "", "result", result);

	*text = (struct buf){0};
	if (!object || json_append(&body, object, &err) < 0) {
		(void)error_oom(&err);
		http_reply_error(request, &err, NULL);
		return;
	}
	http_reply(request, 200, "application/json", &body, NULL);
}

static void reply_line(struct http_request *request, json_t *result, const char *format,
		       const char *value)
{
	struct buf text = {0};
	struct error err;
	const char *at = strstr(format, "%s");

	if (buf_append(&text, format, (size_t)(at - format), &err) < 0 ||
	    buf_append_text(&text, value, &err) < 0 || buf_append_text(&text, at + 2, &err) < 0 ||
	    buf_append_text(&text, "\n", &err) < 0)
		buf_done(&text);
	reply(request, &text, result);
}

/* Something that was begun has been committed, or not. */
struct waiting {
	struct broker *broker;
	struct http_request *request;
	const char *format;
	const char *member;
	char *value;
	const struct client *client; /* whose links are to go; or NULL */
};

static struct waiting *waiting_new(struct broker *broker, struct http_request *request,
				   const char *format, const char *member, const char *value)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	if (!waiting)
		return NULL;
	*waiting = (struct waiting){broker, request, format, member, strdup(value), NULL};
	if (waiting->value)
		return waiting;
	free(waiting);
	return NULL;
}

static void waiting_end(struct waiting *waiting, const struct error *err)
{
	if (err)
		http_reply_error(waiting->request, err, NULL);
	else
		reply_line(waiting->request, json_pack("{s:s}", waiting->member, waiting->value),
			   waiting->format, waiting->value);
	free(waiting->value);
	free(waiting);
}

static void on_stored(const struct error *err, void *userdata)
{
	struct waiting *waiting = userdata;

	if (!err && waiting->client)
		agent_list_drop(&waiting->broker->agents, waiting->client);
	waiting_end(waiting, err);
}

/* --- clients -----------------------------------------------------------------------------------
 */

static void on_registered(const struct client *client, const char *secret,
			  const struct error *failure, void *userdata)
{
	struct http_request *request = userdata;
	struct buf text = {0};
	struct error err;

	if (failure) {
		http_reply_error(request, failure, NULL);
		return;
	}
	if (buf_printf(&text, &err, "client-id: %s\nclient-password: %s\n", client->id, secret) < 0)
		buf_done(&text);
	reply(request, &text,
	      json_pack("{s:s,s:s}", "client-id", client->id, "client-password", secret));
}

static void command_register_api_client(struct broker *broker, const char *name,
					struct http_request *request)
{
	struct error err = {0};

	if (registry_add(&broker->registry, CLIENT_API, name, on_registered, request, &err) < 0)
		http_reply_error(request, &err, NULL);
}

static void describe_clients(struct broker *broker, enum client_kind kind, const char *title,
			     struct http_request *request)
{
	const struct sorted *all = &broker->clients.by_id;
	json_t *list = json_array();
	struct buf text = {0};
	struct error err;

	(void)buf_printf(&text, &err, "%s\n[", title);
	for (size_t i = 0; i < all->n; i++) {
		const struct client *client = all->items[i];

		if (client->kind != kind)
			continue;
		(void)buf_append_text(&text, json_array_size(list) > 0 ? ", {\n" : " {\n", &err);
		(void)buf_append_text(&text, "  \"name\" : ", &err);
		(void)json_append_string(&text, client->name, &err);
		(void)buf_printf(&text, &err, ",\n  \"id\" : \"%s\",\n  \"active\" : %s\n}",
				 client->id, client->is_active ? "true" : "false");
		(void)json_array_append_new(list,
					    json_pack("{s:s,s:s,s:b}", "name", client->name, "id",
						      client->id, "active", client->is_active));
	}
	(void)buf_append_text(&text, " ]\n", &err);
	reply(request, &text, json_pack("{s:o}", "clients", list));
}

static void command_describe_api_clients(struct broker *broker, const char *value,
					 struct http_request *request)
{
	(void)value;
	describe_clients(broker, CLIENT_API, "Api clients", request);
}

static void command_describe_agent_clients(struct broker *broker, const char *value,
					   struct http_request *request)
{
	(void)value;
	describe_clients(broker, CLIENT_AGENT, "Session manager agent clients", request);
}

static void unregister(struct broker *broker, enum client_kind kind, const char *id,
		       const char *format, struct http_request *request)
{
	struct client *client = client_list_find(&broker->clients, kind, id);
	struct waiting *waiting;
	struct error err = {0};

	if (!client) {
		(void)error_set(&err, ERR_NOT_FOUND, "there is no client of the id '%.80s'", id);
		http_reply_error(request, &err, NULL);
		return;
	}
	waiting = waiting_new(broker, request, format, "client-id", id);
	client->is_active = false; /* at once, whatever the store says */
	if (waiting)
		waiting->client = client;
	if (waiting && client_store(&broker->clients, client, on_stored, waiting, &err) == 0) {
		log_info("client unregistered (id=%s, name=%s)", client->id, client->name);
		return;
	}
	if (waiting) {
		waiting_end(waiting, &err);
	} else {
		(void)error_oom(&err);
		http_reply_error(request, &err, NULL);
	}
}

static void command_unregister_api_client(struct broker *broker, const char *id,
					  struct http_request *request)
{
	unregister(broker, CLIENT_API, id, "Client %s unregistered.", request);
}

static void command_unregister_agent_client(struct broker *broker, const char *id,
					    struct http_request *request)
{
	unregister(broker, CLIENT_AGENT, id, "agent client %s unregistered", request);
}

/* --- software statements -----------------------------------------------------------------------
 */

static void command_generate_software_statement(struct broker *broker, const char *value,
						struct http_request *request)
{
	struct waiting *waiting =
		waiting_new(broker, request, "software-statement: %s", "software-statement", "");
	struct statement *statement;
	struct error err = {0};

	(void)value;
	if (!waiting) {
		(void)error_oom(&err);
		http_reply_error(request, &err, NULL);
		return;
	}
	if (statement_list_make(&broker->statements, on_stored, waiting, &statement, &err) < 0) {
		waiting_end(waiting, &err);
		return;
	}
	free(waiting->value); /* on_stored comes later */
	waiting->value = strdup(statement->text);
	if (!waiting->value)
		waiting->value = calloc(1, 1);
}

static void format_issued(long long ms, char *ret, size_t size)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm utc;

	if (!gmtime_r(&seconds, &utc) || strftime(ret, size, "%Y.%m.%d %H:%M:%S +0000", &utc) == 0)
		*ret = '\0';
}

static void command_describe_software_statements(struct broker *broker, const char *value,
						 struct http_request *request)
{
	const struct sorted *all = &broker->statements.by_id;
	json_t *list = json_array();
	struct buf text = {0};
	struct error err;

	(void)value;
	(void)buf_append_text(&text, "Software Statements\n[", &err);
	for (size_t i = 0; i < all->n; i++) {
		const struct statement *statement = all->items[i];
		const char *active = statement->is_active ? "true" : "false";
		char issued[40];

		format_issued(statement->issued_ms, issued, sizeof(issued));
		(void)buf_printf(&text, &err,
				 "%s{\n  \"software-statement\" : \"%s\",\n"
				 "  \"issued-at\" : \"%s\",\n  \"is-active\" : \"%s\"\n}",
				 i > 0 ? ", " : " ", statement->text, issued, active);
		(void)json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "software-statement",
							    statement->text, "issued-at", issued,
							    "is-active", active));
	}
	(void)buf_append_text(&text, " ]\n", &err);
	reply(request, &text, json_pack("{s:o}", "software-statements", list));
}

static void command_deactivate_software_statement(struct broker *broker, const char *text,
						  struct http_request *request)
{
	struct waiting *waiting = waiting_new(broker, request, "Software statement %s deactivated",
					      "software-statement", text);
	struct statement *statement;
	struct error err = {0};

	if (!waiting) {
		(void)error_oom(&err);
		http_reply_error(request, &err, NULL);
		return;
	}
	if (statement_list_find(&broker->statements, text, &statement, &err) < 0 ||
	    statement_deactivate(&broker->statements, statement, on_stored, waiting, &err) < 0)
		waiting_end(waiting, &err);
}

/* --- placement ---------------------------------------------------------------------------------
 */

/* What CreateSessions would check before it looks for a server. */
static int read_wish(const struct broker_config *config, const json_t *element,
		     struct placement_wish **ret, struct error *err)
{
	struct create_session_request fields;

	if (params_read(&create_sessions_params, element, &fields, err) < 0 ||
	    create_session_check(&fields, config->autorun_arguments_max,
				 config->autorun_argument_max_length, err) < 0)
		return -1;
	return placement_wish_new(element, ret, err);
}

static void command_describe_placement(struct broker *broker, const char *value,
				       struct http_request *request)
{
	json_auto_t *element = NULL;
	struct placement_wish *wish = NULL;
	struct buf text = {0};
	json_t *result = NULL;
	struct error err = {0};

	if ((!value || (json_parse(value, strlen(value), &element, &err) == 0 &&
			read_wish(&broker->config, element, &wish, &err) == 0)) &&
	    placement_explain(&broker->fleet.servers, wish, loop_now_ms(&broker->loop), &text,
			      &result, &err) == 0)
		reply(request, &text, json_pack("{s:o}", "servers", result));
	else
		http_reply_error(request, &err, NULL);
	placement_wish_free(wish);
}

/* --- serving -----------------------------------------------------------------------------------
 */

static int read_option(const struct command *command, const struct http_request *request,
		       json_t **ret_body, const char **ret_value, struct error *err)
{
	if (json_parse(request->body.data ? request->body.data : "{}",
		       request->body.data ? request->body.len : 2, ret_body, err) < 0)
		return -1;
	*ret_value = "";
	if (!command->option)
		return 0;
	*ret_value = json_get_text(*ret_body, command->option);
	if (!*ret_value && command->is_required)
		return error_set(err, ERR_USAGE, "--%s is missing", command->option);
	return 0;
}

void command_serve(struct http_request *request, void *userdata)
{
	const struct command *command = command_find(request->path + (*request->path == '/'));
	json_auto_t *body = NULL;
	const char *value = "";
	struct error err = {0};

	if (request->peer_uid != 0 && request->peer_uid != geteuid())
		(void)error_set(&err, ERR_DENIED, "only root may do that");
	else if (!command || strcmp(request->method, "POST") != 0)
		(void)error_set(&err, ERR_NOT_FOUND, "no such command");
	else
		(void)read_option(command, request, &body, &value, &err);
	if (err.code != ERR_NONE)
		http_reply_error(request, &err, NULL);
	else
		functions[command - commands](userdata, value, request);
}
