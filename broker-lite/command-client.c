#include "broker-lite/command-client.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker-lite/broker.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/program-options.h"

#define REPLY_MAX_BYTES (64 * 1024 * 1024)
#define REPLY_TIMEOUT_S 30
#define FILE_MAX_BYTES (COMMAND_BODY_MAX_BYTES / 4) /* as JSON it may grow */

struct wish {
	const struct command *command;
	const char *config_path;
	json_t *options; /* owned */
	bool as_json;
	bool wants_help;
	bool has_bad_file;
};

void command_client_list(void)
{
	(void)puts("\nCommands, for the administrator of the running broker (COMMAND --help for "
		   "more):\n");
	for (size_t i = 0; i < n_commands; i++)
		printf("  %-32s %s\n", commands[i].name, commands[i].help);
}

static void manual_option(const struct command_option *o)
{
	printf(o->is_required ? " *--%s*" : " [*--%s*", o->name);
	if (o->value)
		printf(" _%s_", o->value);
	printf("%s", o->is_required ? "" : "]");
}

static void manual_meaning(const struct command_option *o)
{
	printf("\n\t*--%s*", o->name);
	if (o->alias)
		printf(", *--%s*", o->alias);
	printf(": %s.\n", o->help);
}

void command_client_manual(void)
{
	for (size_t i = 0; i < n_commands; i++) {
		const struct command *command = &commands[i];

		printf("*%s*", command->name);
		for (const struct command_option *o = command->options; o->name; o++)
			manual_option(o);
		printf("\n\t%s.\n", command->help);
		for (const struct command_option *o = command->options; o->name; o++)
			manual_meaning(o);
		printf("\n");
	}
}

/* --- the socket --------------------------------------------------------------------------------
 */

static int connect_to(const char *path, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = REPLY_TIMEOUT_S};
	AUTO(close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, ERR_CONFIG, "%s is too long for a socket", path);
	(void)strcpy(address.sun_path, path);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return error_errno(err, "socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, "%s", path);
	return TAKE_FD(fd);
}

static int write_request(int fd, const struct wish *wish, struct error *err)
{
	AUTO(buf_done) struct buf body = {0};
	AUTO(buf_done) struct buf request = {0};

	if (json_append(&body, wish->options, err) < 0 ||
	    buf_printf(&request, err,
		       "POST /%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		       "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
		       wish->command->name, body.len, body.data) < 0)
		return -1;
	for (size_t sent = 0; sent < request.len;) {
		ssize_t n = send(fd, request.data + sent, request.len - sent, MSG_NOSIGNAL);

		if (n < 0)
			return error_errno(err, "send");
		sent += (size_t)n;
	}
	return 0;
}

/* How much the whole reply has, once its head is there; 0 before. */
static size_t reply_length(const struct buf *reply, size_t *ret_head)
{
	const char *end = reply->data ? strstr(reply->data, "\r\n\r\n") : NULL;
	const char *length = reply->data ? strcasestr(reply->data, "\r\nContent-Length:") : NULL;

	if (!end || !length || length > end)
		return 0;
	*ret_head = (size_t)(end - reply->data) + 4;
	return *ret_head + strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
}

static int read_reply(int fd, int *ret_status, json_t **ret, struct error *err)
{
	AUTO(buf_done) struct buf reply = {0};
	size_t length = 0, head = 0;

	while (length == 0 || reply.len < length) {
		ssize_t n;

		if (buf_reserve(&reply, 65536, err) < 0)
			return -1;
		n = recv(fd, reply.data + reply.len, 65536, 0);
		if (n <= 0)
			return error_set(err, ERR_UNREACHABLE, "the broker did not answer");
		reply.len += (size_t)n;
		reply.data[reply.len] = '\0';
		length = reply_length(&reply, &head);
		if (reply.len > REPLY_MAX_BYTES)
			return error_set(err, ERR_TOO_LARGE, "the answer is too large");
	}
	if (sscanf(reply.data, "HTTP/1.1 %d", ret_status) != 1)
		return error_set(err, ERR_INVALID, "the answer is not HTTP");
	return json_parse(reply.data + head, length - head, ret, err);
}

/* --- the command -------------------------------------------------------------------------------
 */

static int tell_failure(const struct error *err)
{
	fprintf(stderr, "%s\n", err->message);
	if (err->code == ERR_DENIED)
		return COMMAND_NOT_ROOT;
	return err->code == ERR_NOT_FOUND || err->code == ERR_UNREACHABLE ? COMMAND_NO_BROKER
									  : COMMAND_FAILED;
}

static int print_reply(const struct wish *wish, int status, const json_t *reply)
{
	const char *text = json_get_text(reply, status == 200 ? "text" : "error");

	if (status != 200) {
		fprintf(stderr, "%s\n", text ? text : "the broker refused");
		return status == 403 ? COMMAND_NOT_ROOT : COMMAND_FAILED;
	}
	if (wish->as_json) {
		(void)json_dumpf(json_object_get(reply, "result"), stdout, JSON_COMPACT);
		printf("\n");
	} else if (text) {
		printf("%s", text);
	}
	return fflush(stdout) == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static int carry_out(const struct wish *wish)
{
	struct broker_config config = {0};
	AUTO(free_p) char *path = NULL;
	AUTO(close_p) int fd = -1;
	json_auto_t *reply = NULL;
	struct error err = {0};
	int status = 0;

	log_set_level(LOG_LEVEL_ERROR); /* the broker has said the rest about its settings */
	if (broker_config_load(&config, wish->config_path, &err) == 0)
		path = broker_command_path(&config, &err);
	if (path && !config.enable_authorization_server &&
	    strcmp(wish->command->name, "register-api-client") == 0)
		fprintf(stderr, "note: enable-authorization-server is false, so this broker gives "
				"the client no tokens\n");
	broker_config_done(&config);
	if (!path) {
		/* a file that is not there is no broker that does not run */
		(void)tell_failure(&err);
		return err.code == ERR_DENIED ? COMMAND_NOT_ROOT : COMMAND_FAILED;
	}
	fd = connect_to(path, &err);
	if (fd < 0 || write_request(fd, wish, &err) < 0 ||
	    read_reply(fd, &status, &reply, &err) < 0)
		return tell_failure(&err);
	return print_reply(wish, status, reply);
}

static void print_help(const struct command *command)
{
	printf("usage: dcv-session-manager-broker %s", command->name);
	for (const struct command_option *o = command->options; o->name; o++)
		printf(" %s--%s%s%s%s", o->is_required ? "" : "[", o->name, o->value ? " " : "",
		       o->value ? o->value : "", o->is_required ? "" : "]");
	printf(" [--conf FILE] [--json]\n\n%s.\n\n", command->help);
	for (const struct command_option *o = command->options; o->name; o++) {
		program_option_print(o->name, o->value, o->help, NULL);
		if (o->alias)
			program_option_print(o->alias, o->value, "the same", NULL);
	}
	program_option_print("conf", "FILE", "settings of the broker", BROKER_CONFIG_PATH);
	program_option_print("json", NULL, "print the result as one JSON object", NULL);
}

enum { OPTION_CONF = 'c', OPTION_JSON = 'j', OPTION_HELP = 'h', OPTION_OF_COMMAND = 256 };

/* Options of the command are known to getopt by OPTION_OF_COMMAND and up, their place in the table. */
static void list_options(const struct command *command, struct option *ret)
{
	static const struct option of_all[] = {
		{"conf", required_argument, NULL, OPTION_CONF},
		{"json", no_argument, NULL, OPTION_JSON},
		{"help", no_argument, NULL, OPTION_HELP},
	};
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(of_all); i++)
		*ret++ = of_all[i];
	for (const struct command_option *o = command->options; o->name; o++, n++) {
		int has_arg = o->value ? required_argument : no_argument;

		*ret++ = (struct option){o->name, has_arg, NULL, OPTION_OF_COMMAND + n};
		if (o->alias)
			*ret++ = (struct option){o->alias, has_arg, NULL, OPTION_OF_COMMAND + n};
	}
	*ret = (struct option){0};
}

/* The file is the caller's, which the broker may have no right to read. */
static int add_file(struct wish *wish, const char *path, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};

	if (file_read(path, FILE_MAX_BYTES, &text, err) < 0)
		return -1;
	if (json_object_set_new(wish->options, COMMAND_FILE_TEXT,
				json_stringn(text.data ? text.data : "", text.len)) < 0)
		return error_set(err, ERR_INVALID, "%s is not UTF-8 text", path);
	return 0;
}

static int add_option(struct wish *wish, const struct command_option *option, const char *value)
{
	struct error err;

	if (!option->value)
		return json_object_set_new(wish->options, option->name, json_true());
	if (json_object_set_new(wish->options, option->name, json_string(value)) < 0) {
		fprintf(stderr, "%s: --%s is not UTF-8 text\n", wish->command->name, option->name);
		return -1;
	}
	if (!option->is_file || add_file(wish, value, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.message);
	wish->has_bad_file = true;
	return -1;
}

static int check_required(const struct wish *wish)
{
	for (const struct command_option *o = wish->command->options; o->name; o++) {
		if (o->is_required && !json_object_get(wish->options, o->name)) {
			fprintf(stderr, "%s: --%s %s is missing\n", wish->command->name, o->name,
				o->value);
			return -1;
		}
	}
	return 0;
}

static int read_options(int argc, char **argv, struct wish *wish)
{
	struct option options[3 + 2 * COMMAND_OPTIONS_MAX + 1];
	int option;

	list_options(wish->command, options);
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == OPTION_CONF)
			wish->config_path = optarg;
		else if (option == OPTION_JSON)
			wish->as_json = true;
		else if (option == OPTION_HELP)
			wish->wants_help = true;
		else if (option < OPTION_OF_COMMAND)
			return -1;
		else if (add_option(wish, &wish->command->options[option - OPTION_OF_COMMAND],
				    optarg) < 0)
			return -1;
	}
	if (optind < argc) {
		fprintf(stderr, "%s: what is '%s'?\n", wish->command->name, argv[optind]);
		return -1;
	}
	return wish->wants_help ? 0 : check_required(wish);
}

static int read_and_carry_out(struct wish *wish, int argc, char **argv)
{
	if (read_options(argc - 1, argv + 1, wish) < 0)
		return wish->has_bad_file ? COMMAND_FAILED : COMMAND_USAGE;
	if (!wish->wants_help)
		return carry_out(wish);
	print_help(wish->command);
	return COMMAND_DONE;
}

int command_client_run(int argc, char **argv)
{
	struct wish wish = {.command = command_find(argv[1])};
	int status;

	if (!wish.command) {
		fprintf(stderr, "unknown command '%s', see --help\n", argv[1]);
		return COMMAND_USAGE;
	}
	wish.options = json_object();
	status = read_and_carry_out(&wish, argc, argv);
	json_decref(wish.options);
	return status;
}
