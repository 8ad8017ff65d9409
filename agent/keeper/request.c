#include "agent/keeper/request.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/protocol.h"
#include "common/message.h"
#include "common/number.h"

#define OWNER_MAX_BYTES 256
#define REASON_MAX_BYTES 1024
#define TAG_MAX_BYTES 64
#define TEXT_MAX_BYTES 1024
#define FILE_MAX_BYTES 4095
#define NUMBER_MAX 1000000

static const struct {
	const char *name;
	enum operation operation;
} operations[] = {
	{"start", OPERATION_START},     {"stop", OPERATION_STOP},   {"capture", OPERATION_CAPTURE},
	{"clean", OPERATION_CLEAN},     {"usage", OPERATION_USAGE}, {"notify", OPERATION_NOTIFY},
	{"connect", OPERATION_CONNECT}, {"check", OPERATION_CHECK}, {"files", OPERATION_FILES},
};

/* Which fields there are, which operations they belong to, and how long they may be. */
static const struct field {
	const char *name;
	unsigned operations;
	bool required;
	size_t offset;
	size_t max_bytes;
} fields[] = {
	{"SESSION_ID", OPERATION_START, true, offsetof(struct request, session_id),
	 KEEPER_SESSION_ID_MAX_BYTES},
	{"OWNER", OPERATION_START, true, offsetof(struct request, owner), OWNER_MAX_BYTES},
	{"TYPE", OPERATION_START, false, offsetof(struct request, type), 16},
	{"INIT_FILE", OPERATION_START, false, offsetof(struct request, init_file), FILE_MAX_BYTES},
	{"AUTORUN_FILE", OPERATION_START, false, offsetof(struct request, autorun_file),
	 FILE_MAX_BYTES},
	{"RENDER_NODE", OPERATION_START, false, offsetof(struct request, render_node),
	 FILE_MAX_BYTES},
	{"REASON", OPERATION_STOP, false, offsetof(struct request, reason), REASON_MAX_BYTES},
	{"TAG", OPERATION_CAPTURE | OPERATION_CONNECT | OPERATION_FILES, true,
	 offsetof(struct request, tag), TAG_MAX_BYTES},
	{"FOLDER", OPERATION_FILES, true, offsetof(struct request, folder), FILE_MAX_BYTES},
	{"TEXT", OPERATION_NOTIFY, true, offsetof(struct request, text), TEXT_MAX_BYTES},
	{"NUMBER", OPERATION_CLEAN, true, offsetof(struct request, number_text), 16},
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static const char **field_of(struct request *request, const struct field *field)
{
	return (const char **)(void *)((char *)request + field->offset);
}

static int parse_operation(struct request *r, const char *name, struct error *err)
{
	for (size_t i = 0; name && i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (strcmp(operations[i].name, name) == 0) {
			r->operation = operations[i].operation;
			return 0;
		}
	}
	return error_set(
		err, ERR_INVALID,
		"OPERATION: expected start, stop, capture, clean, usage, notify, files or connect");
}

static int parse_field(struct request *r, const char *entry, struct error *err)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		const struct field *field = &fields[i];
		const char *value = message_value(entry, field->name);

		if (!value)
			continue;
		if (!(field->operations & r->operation))
			break;
		if (*field_of(r, field))
			return error_set(err, ERR_INVALID, "%s: given twice", field->name);
		if (strlen(value) > field->max_bytes)
			return error_set(err, ERR_INVALID, "%s: longer than %zu bytes", field->name,
					 field->max_bytes);
		*field_of(r, field) = value;
		return 0;
	}
	return error_set(err, ERR_INVALID, "unknown field '%.*s'",
			 (int)strnlen(entry, strcspn(entry, "=") < 40 ? strcspn(entry, "=") : 40),
			 entry);
}

static int check_session_id(const char *id, struct error *err)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	if (!id[0] || id[0] == '.' || id[0] == '-' || id[strspn(id, allowed)])
		return error_set(err, ERR_INVALID,
				 "SESSION_ID: expected 1 to %d of A-Z a-z 0-9 . _ -, beginning "
				 "with none of . -",
				 KEEPER_SESSION_ID_MAX_BYTES);
	return 0;
}

static int check_type(struct request *r, struct error *err)
{
	r->is_console = r->type && strcmp(r->type, "console") == 0;
	if (r->type && !r->is_console && strcmp(r->type, "virtual") != 0)
		return error_set(err, ERR_INVALID, "TYPE: expected virtual or console");
	if (r->is_console && (r->init_file || r->autorun_file))
		return error_set(err, ERR_INVALID, "a console session starts no %s",
				 r->init_file ? "INIT_FILE" : "AUTORUN_FILE");
	return 0;
}

static int check(struct request *r, struct error *err)
{
	long long number = 0;

	for (size_t i = 0; i < N_FIELDS; i++) {
		if (fields[i].required && (fields[i].operations & r->operation) &&
		    !*field_of(r, &fields[i]))
			return error_set(err, ERR_INVALID, "%s is missing", fields[i].name);
	}
	if (r->session_id && check_session_id(r->session_id, err) < 0)
		return -1;
	if (r->owner && !r->owner[0])
		return error_set(err, ERR_INVALID, "OWNER is empty");
	if (check_type(r, err) < 0)
		return -1;
	if (r->n_arguments > 0 && !r->autorun_file)
		return error_set(err, ERR_INVALID, "ARGUMENT without AUTORUN_FILE");
	if (r->number_text && !number_parse(r->number_text, 1, NUMBER_MAX, &number))
		return error_set(err, ERR_INVALID, "NUMBER: expected 1 to %d", NUMBER_MAX);
	r->number = (int)number;
	return 0;
}

static size_t count_entries(const struct message *message)
{
	size_t n = 0;

	for (const char *entry = NULL; (entry = message_next(message, entry));)
		n++;
	return n;
}

int request_parse(struct request *ret, const void *packet, size_t len, struct error *err)
{
	struct message message;
	const char *value;

	*ret = (struct request){0};
	if (len == 0 || len > KEEPER_MESSAGE_MAX_BYTES)
		return error_set(err, ERR_INVALID, "message of %zu bytes: expected 1 to %d", len,
				 KEEPER_MESSAGE_MAX_BYTES);
	ret->packet = malloc(len);
	if (!ret->packet)
		return error_oom(err);
	memcpy(ret->packet, packet, len);
	if (message_parse(&message, ret->packet, len, err) < 0 ||
	    parse_operation(ret, message_get(&message, "OPERATION"), err) < 0)
		return -1;
	ret->arguments = calloc(count_entries(&message) + 1, sizeof(*ret->arguments));
	if (!ret->arguments)
		return error_oom(err);
	for (const char *entry = NULL; (entry = message_next(&message, entry));) {
		if (message_value(entry, "OPERATION")) {
			if (entry != message_next(&message, NULL))
				return error_set(err, ERR_INVALID,
						 "OPERATION: expected once, first");
		} else if (ret->operation == OPERATION_START &&
			   (value = message_value(entry, "ARGUMENT"))) {
			ret->arguments[ret->n_arguments++] = value;
		} else if (parse_field(ret, entry, err) < 0) {
			return -1;
		}
	}
	return check(ret, err);
}

void request_done(struct request *request)
{
	free(request->arguments);
	free(request->packet);
	*request = (struct request){0};
}
