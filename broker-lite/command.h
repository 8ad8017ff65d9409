/**
 * The administrator's commands, carried out by the running broker.
 *
 * They come over a Unix socket that only root and the broker's user may open: POST /NAME with a
 * JSON object of the options, strings and, for flags, true. The answer has the text for people and
 * the object of --json. commands.def lists them; the functions are in the command-*.c.
 */
#ifndef BROKER_COMMAND_H
#define BROKER_COMMAND_H

#include <jansson.h>
#include <stdbool.h>

#include "broker-lite/store.h"
#include "common/http-server.h"

#define COMMAND_BODY_MAX_BYTES (16 * 1024 * 1024)
#define COMMAND_OPTIONS_MAX 6

struct broker;
struct client;

struct command_option {
	const char *name, *alias; /* without the dashes; no name: the end of the options */
	const char *value;        /* what it is, in capitals; NULL: a flag */
	const char *help;
	bool is_required;
	bool is_file; /* of the caller: its text goes into the member COMMAND_FILE_TEXT */
};

#define COMMAND_FILE_TEXT "file-text"

struct command {
	const char *name, *help;
	struct command_option options[COMMAND_OPTIONS_MAX + 1];
};

extern const struct command commands[];
extern const size_t n_commands;

const struct command *command_find(const char *name);

/** A request on the command socket; @userdata is the broker. */
void command_serve(struct http_request *request, void *userdata);

/* --- for the functions, each of which answers its request once, now or later --- */

#define COMMAND(id, ...)                                                                           \
	void command_##id(struct broker *broker, const json_t *options,                            \
			  struct http_request *request);
#include "broker-lite/commands.def"
#undef COMMAND

/** @text: what people read; @result: what --json prints, an object. Both are taken. */
void command_reply(struct http_request *request, struct buf *text, json_t *result);

/** @text: what is printed before @list, which is shown as JSON and is @member of --json. */
void command_reply_list(struct http_request *request, const char *text, const char *member,
			json_t *list);

void command_fail(struct http_request *request, const struct error *err);

/**
 * A reply that waits for the store: pass command_on_stored with it. @format has one %s at most, for
 * @value, which is @member of --json. NULL: out of memory; the request was answered.
 */
struct command_reply *command_reply_new(struct broker *broker, struct http_request *request,
					const char *format, const char *member, const char *value);

/** Answer with @err, or if that is NULL with what was made ready. The reply is freed. */
void command_on_stored(const struct error *err, void *reply);

/** The value was not known before. */
void command_reply_set(struct command_reply *reply, const char *value);

/** When the reply goes out well, the links of @client are closed. */
void command_reply_drop(struct command_reply *reply, const struct client *client);

#endif
