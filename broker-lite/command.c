#include "broker-lite/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker-lite/broker.h"
#include "common/cleanup.h"
#include "common/json.h"

typedef void (*command_fn)(struct broker *broker, const json_t *options,
			   struct http_request *request);

#define REQUIRED(name_, alias_, value_, help_)                                                     \
	{                                                                                          \
		.name = name_, .alias = alias_, .value = value_, .help = help_,                    \
		.is_required = true                                                                \
	}
#define OPTIONAL(name_, alias_, value_, help_)                                                     \
	{                                                                                          \
		.name = name_, .alias = alias_, .value = value_, .help = help_                     \
	}
#define FILE_OF(name_, alias_, value_, help_)                                                      \
	{                                                                                          \
		.name = name_, .alias = alias_, .value = value_, .help = help_,                    \
		.is_required = true, .is_file = true                                               \
	}
#define NO_OPTIONS                                                                                 \
	{                                                                                          \
		.name = NULL                                                                       \
	}
#define FLAG(name_, help_)                                                                         \
	{                                                                                          \
		.name = name_, .help = help_                                                       \
	}

const struct command commands[] = {
#define COMMAND(id, name_, help_, ...) {.name = name_, .help = help_, .options = {__VA_ARGS__}},
#include "broker-lite/commands.def"
#undef COMMAND
};
const size_t n_commands = ARRAY_SIZE(commands);

static const command_fn functions[] = {
#define COMMAND(id, ...) command_##id,
#include "broker-lite/commands.def"
#undef COMMAND
};

/* The guides do not agree on these. */
static const struct {
	const char *alias, *name;
} aliases[] = {
	{"register-server-dns-mapping", "register-server-dns-mappings"},
	{"describe-server-dns-mapping", "describe-server-dns-mappings"},
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (strcmp(aliases[i].alias, name) == 0)
			name = aliases[i].name;
	}
	for (size_t i = 0; i < n_commands; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* --- answers -----------------------------------------------------------------------------------
 */

void command_fail(struct http_request *request, const struct error *err)
{
	http_reply_error(request, err, NULL);
}

void command_reply(struct http_request *request, struct buf *text, json_t *result)
{
	AUTO(buf_done) struct buf shown = *text;
	struct buf body = {0};
	struct error err = {0};
	json_auto_t *object =
		json_pack("{s:s,s:o}", "text", shown.data ? shown.data : "", "result", result);

	*text = (struct buf){0};
	if (!object || json_append(&body, object, &err) < 0) {
		(void)error_oom(&err);
		command_fail(request, &err);
		return;
	}
	http_reply(request, 200, "application/json", &body, NULL);
}

/* The layout that scripts know: "[ {", "}, {" between objects, a space on both sides of ':'. */
static int print_value(struct buf *ret, const json_t *value, int depth, struct error *err)
{
	const json_t *member;
	const char *key;
	size_t i;

	if (json_is_array(value)) {
		if (buf_append_text(ret, "[ ", err) < 0)
			return -1;
		json_array_foreach(value, i, member)
		{
			if ((i > 0 && buf_append_text(ret, ", ", err) < 0) ||
			    print_value(ret, member, depth, err) < 0)
				return -1;
		}
		return buf_append_text(ret, i > 0 ? " ]" : "]", err);
	}
	if (!json_is_object(value))
		return json_append(ret, value, err);
	i = 0;
	if (buf_append_text(ret, "{", err) < 0)
		return -1;
	json_object_foreach((json_t *)value, key, member)
	{
		if (buf_printf(ret, err, "%s\n%*s", i++ > 0 ? "," : "", 2 * (depth + 1), "") < 0 ||
		    json_append_string(ret, key, err) < 0 || buf_append_text(ret, " : ", err) < 0 ||
		    print_value(ret, member, depth + 1, err) < 0)
			return -1;
	}
	return buf_printf(ret, err, "\n%*s}", 2 * depth, "");
}

void command_reply_list(struct http_request *request, const char *text, const char *member,
			json_t *list)
{
	struct buf shown = {0};
	struct error err;

	if (buf_append_text(&shown, text, &err) < 0 || print_value(&shown, list, 0, &err) < 0 ||
	    buf_append_text(&shown, "\n", &err) < 0)
		buf_done(&shown);
	command_reply(request, &shown, json_pack("{s:o}", member, list));
}

/* Something that was begun has been committed, or not. */
struct command_reply {
	struct broker *broker;
	struct http_request *request;
	const char *format;
	const char *member;
	char *value;
	const struct client *client; /* whose links are to go; or NULL */
};

struct command_reply *command_reply_new(struct broker *broker, struct http_request *request,
					const char *format, const char *member, const char *value)
{
	struct command_reply *reply = calloc(1, sizeof(*reply));
	struct error err;

	if (reply) {
		*reply = (struct command_reply){broker, request,       format,
						member, strdup(value), NULL};
		if (reply->value)
			return reply;
		free(reply);
	}
	(void)error_oom(&err);
	command_fail(request, &err);
	return NULL;
}

void command_reply_set(struct command_reply *reply, const char *value)
{
	free(reply->value);
	reply->value = strdup(value);
}

void command_reply_drop(struct command_reply *reply, const struct client *client)
{
	reply->client = client;
}

static void reply_with_value(struct command_reply *reply)
{
	const char *value = reply->value ? reply->value : "";
	const char *at = strstr(reply->format, "%s");
	struct buf text = {0};
	struct error err;

	if (buf_append(&text, reply->format,
		       at ? (size_t)(at - reply->format) : strlen(reply->format), &err) < 0 ||
	    (at && (buf_append_text(&text, value, &err) < 0 ||
		    buf_append_text(&text, at + 2, &err) < 0)) ||
	    buf_append_text(&text, "\n", &err) < 0)
		buf_done(&text);
	command_reply(reply->request, &text, json_pack("{s:s}", reply->member, value));
}

void command_on_stored(const struct error *err, void *userdata)
{
	struct command_reply *reply = userdata;

	if (!err && reply->client)
		agent_list_drop(&reply->broker->agents, reply->client);
	if (err)
		command_fail(reply->request, err);
	else
		reply_with_value(reply);
	free(reply->value);
	free(reply);
}

/* --- serving -----------------------------------------------------------------------------------
 */

/* The command line has checked this for people; whoever else speaks here is told as well. */
static int check_options(const struct command *command, const json_t *given, struct error *err)
{
	if (!json_is_object(given))
		return error_set(err, ERR_USAGE, "the options must be a JSON object");
	for (const struct command_option *option = command->options; option->name; option++) {
		const json_t *value = json_object_get(given, option->name);

		if (!value && option->is_required)
			return error_set(err, ERR_USAGE, "--%s is missing", option->name);
		if (value && (option->value ? !json_is_string(value) : !json_is_true(value)))
			return error_set(err, ERR_USAGE, "--%s must be %s", option->name,
					 option->value ? "a string" : "true");
		if (option->is_file && !json_get_text(given, COMMAND_FILE_TEXT))
			return error_set(err, ERR_USAGE, "%s is missing", COMMAND_FILE_TEXT);
	}
	return 0;
}

void command_serve(struct http_request *request, void *userdata)
{
	const struct command *command = command_find(request->path + (*request->path == '/'));
	const char *body = request->body.data ? request->body.data : "{}";
	json_auto_t *options = NULL;
	struct error err = {0};

	if (request->peer_uid != 0 && request->peer_uid != geteuid())
		(void)error_set(&err, ERR_DENIED, "only root may do that");
	else if (!command || strcmp(request->method, "POST") != 0)
		(void)error_set(&err, ERR_NOT_FOUND, "no such command");
	else if (json_parse(body, request->body.data ? request->body.len : 2, &options, &err) == 0)
		(void)check_options(command, options, &err);
	if (err.code != ERR_NONE)
		command_fail(request, &err);
	else
		functions[command - commands](userdata, options, request);
}
