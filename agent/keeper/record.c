#include "agent/keeper/record.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/message.h"
#include "common/number.h"

#define RECORD_MAX_BYTES 65536

static const struct field {
	const char *name;
	size_t offset;
	bool is_text;
} fields[] = {
	{"SESSION_ID", offsetof(struct record, session_id), true},
	{"OWNER", offsetof(struct record, owner), true},
	{"CGROUP", offsetof(struct record, cgroup), true},
	{"UID", offsetof(struct record, uid), false},
	{"PID", offsetof(struct record, pid), false},
	{"DISPLAY", offsetof(struct record, display), false},
	{"X_DEV", offsetof(struct record, x_dev), false},
	{"X_INO", offsetof(struct record, x_ino), false},
	{"X_BORN", offsetof(struct record, x_born_ns), false},
};

static const char *const field_names[] = {"SESSION_ID", "OWNER", "CGROUP", "UID",    "PID",
					  "DISPLAY",    "X_DEV", "X_INO",  "X_BORN", NULL};

static char **text_of(const struct record *record, const struct field *field)
{
	return (char **)((char *)(size_t)record + field->offset);
}

static long long *number_of(const struct record *record, const struct field *field)
{
	return (long long *)((char *)(size_t)record + field->offset);
}

int record_write(const struct record *record, const char *path, struct error *err)
{
	AUTO(buf_done) struct buf buf = {0};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char number[32];
		const char *value = number;

		if (fields[i].is_text)
			value = *text_of(record, &fields[i]);
		else
			(void)snprintf(number, sizeof(number), "%lld",
				       *number_of(record, &fields[i]));
		if (value && message_add(&buf, fields[i].name, value, err) < 0)
			return -1;
	}
	return file_write_atomic(path, buf.data, buf.len, 0600, err);
}

static int read_field(struct record *record, const struct message *message,
		      const struct field *field, struct error *err)
{
	const char *value = message_get(message, field->name);

	if (!value)
		return 0;
	if (field->is_text) {
		*text_of(record, field) = strdup(value);
		return *text_of(record, field) ? 0 : error_oom(err);
	}
	if (!number_parse(value, LLONG_MIN, LLONG_MAX, number_of(record, field)))
		return error_set(err, ERR_INVALID, "%s is no number", field->name);
	return 0;
}

int record_read(struct record *ret, const char *path, struct error *err)
{
	AUTO(buf_done) struct buf buf = {0};
	AUTO(record_done) struct record record = RECORD_NONE;
	struct message message;

	if (file_read(path, RECORD_MAX_BYTES, &buf, err) < 0)
		return -1;
	if (message_parse(&message, buf.data, buf.len, err) < 0 ||
	    message_expect(&message, field_names, err) < 0)
		return error_prefix(err, "%s", path);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (read_field(&record, &message, &fields[i], err) < 0)
			return error_prefix(err, "%s", path);
	}
	if (!record.session_id || !record.owner)
		return error_set(err, ERR_INVALID, "%s: not complete", path);
	*ret = record;
	record = RECORD_NONE;
	return 0;
}

void record_done(struct record *record)
{
	free(record->session_id);
	free(record->owner);
	free(record->cgroup);
	*record = RECORD_NONE;
}
