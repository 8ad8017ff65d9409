#include "common/message.h"

#include <string.h>

/* A name in a sentence for people: more of it would tell nobody more. */
#define NAME_SHOWN_MAX 40

/* Not isupper(): names do not depend on a locale. */
static size_t name_len(const char *text)
{
	size_t len = 0;

	while ((text[len] >= 'A' && text[len] <= 'Z') || text[len] == '_')
		len++;
	return len;
}

int message_parse(struct message *ret, const void *bytes, size_t len, struct error *err)
{
	struct message message = {.data = bytes, .len = len};

	if (len == 0)
		return error_set(err, ERR_INVALID, "the message is empty");
	if (message.data[len - 1] != '\0')
		return error_set(err, ERR_INVALID, "the message does not end in a NUL byte");
	for (const char *entry = NULL; (entry = message_next(&message, entry));) {
		size_t end = name_len(entry);

		if (end == 0 || entry[end] != '=')
			return error_set(err, ERR_INVALID,
					 "the message is not NAME=value at byte %zu",
					 (size_t)(entry - message.data));
	}
	*ret = message;
	return 0;
}

const char *message_next(const struct message *message, const char *entry)
{
	const char *next = entry ? entry + strlen(entry) + 1 : message->data;

	return next < message->data + message->len ? next : NULL;
}

const char *message_value(const char *entry, const char *name)
{
	size_t len = strlen(name);

	return strncmp(entry, name, len) == 0 && entry[len] == '=' ? entry + len + 1 : NULL;
}

const char *message_get(const struct message *message, const char *name)
{
	for (const char *entry = NULL; (entry = message_next(message, entry));) {
		const char *value = message_value(entry, name);

		if (value)
			return value;
	}
	return NULL;
}

int message_expect(const struct message *message, const char *const *names, struct error *err)
{
	for (const char *entry = NULL; (entry = message_next(message, entry));) {
		const char *const *name = names;

		while (*name && !message_value(entry, *name))
			name++;
		if (!*name) {
			size_t len = name_len(entry);

			return error_set(err, ERR_INVALID, "the message has an unknown entry %.*s",
					 len < NAME_SHOWN_MAX ? (int)len : NAME_SHOWN_MAX, entry);
		}
		/* The entries before are all known and all different, so they are few. */
		for (const char *other = message->data; other != entry;
		     other = message_next(message, other)) {
			if (message_value(other, *name))
				return error_set(err, ERR_INVALID, "the message has %s twice",
						 *name);
		}
	}
	return 0;
}

int message_add(struct buf *buf, const char *name, const char *value, struct error *err)
{
	size_t len = name_len(name), value_len = strlen(value);

	if (len == 0 || name[len] != '\0')
		return error_set(err, ERR_INVALID, "'%s' is no name for an entry of a message",
				 name);
	/* All or nothing: after this nothing can fail. */
	if (buf_reserve(buf, len + 1 + value_len + 1, err) < 0)
		return -1;
	(void)buf_append(buf, name, len, err);
	(void)buf_append(buf, "=", 1, err);
	return buf_append(buf, value, value_len + 1, err);
}
