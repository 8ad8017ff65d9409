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
#include "common/json.h"

#define REPLY_MAX_BYTES (64 * 1024 * 1024)
#define REPLY_TIMEOUT_S 30

struct wish {
	const struct command *command;
	const char *config_path;
	const char *value;
	bool as_json;
	bool wants_help;
};

void command_client_list(void)
{
	for (size_t i = 0; i < n_commands; i++)
		printf("  %-32s %s\n", commands[i].name, commands[i].help);
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

static int write_request(int fd, const struct command *command, const char *value,
			 struct error *err)
{
	AUTO(buf_done) struct buf body = {0};
	AUTO(buf_done) struct buf request = {0};
	json_auto_t *options = json_object();

	if (command->option)
		json_set_text(options, command->option, value);
	if (json_append(&body, options, err) < 0 ||
	    buf_printf(&request, err,
		       "POST /%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		       "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
		       command->name, body.len, body.data) < 0)
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
	if (fd < 0 || write_request(fd, wish->command, wish->value, &err) < 0 ||
	    read_reply(fd, &status, &reply, &err) < 0)
		return tell_failure(&err);
	return print_reply(wish, status, reply);
}

static void print_help(const struct command *command)
{
	printf("usage: dcv-session-manager-broker %s", command->name);
	if (command->option)
		printf(" %s--%s %s%s", command->is_required ? "" : "[", command->option,
		       command->value, command->is_required ? "" : "]");
	printf(" [--conf FILE] [--json]\n\n%s.\n", command->help);
}

enum { OPTION_CONF = 'c', OPTION_JSON = 'j', OPTION_HELP = 'h', OPTION_VALUE = 'v' };

static int read_options(int argc, char **argv, struct wish *wish)
{
	const struct command *command = wish->command;
	struct option options[6] = {
		{"conf", required_argument, NULL, OPTION_CONF},
		{"json", no_argument, NULL, OPTION_JSON},
		{"help", no_argument, NULL, OPTION_HELP},
	};
	size_t n = 3;
	int option;

	if (command->option)
		options[n++] =
			(struct option){command->option, required_argument, NULL, OPTION_VALUE};
	if (command->alias)
		options[n++] =
			(struct option){command->alias, required_argument, NULL, OPTION_VALUE};
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == OPTION_CONF)
			wish->config_path = optarg;
		else if (option == OPTION_JSON)
			wish->as_json = true;
		else if (option == OPTION_HELP)
			wish->wants_help = true;
		else if (option == OPTION_VALUE)
			wish->value = optarg;
		else
			return -1;
	}
	if (optind < argc) {
		fprintf(stderr, "%s: what is '%s'?\n", command->name, argv[optind]);
		return -1;
	}
	if (command->is_required && !wish->value && !wish->wants_help) {
		fprintf(stderr, "%s: --%s %s is missing\n", command->name, command->option,
			command->value);
		return -1;
	}
	return 0;
}

int command_client_run(int argc, char **argv)
{
	struct wish wish = {.command = command_find(argv[1])};

	if (!wish.command) {
		fprintf(stderr, "unknown command '%s', see --help\n", argv[1]);
		return COMMAND_USAGE;
	}
	if (read_options(argc - 1, argv + 1, &wish) < 0)
		return COMMAND_USAGE;
	if (wish.wants_help) {
		print_help(wish.command);
		return COMMAND_DONE;
	}
	return carry_out(&wish);
}
