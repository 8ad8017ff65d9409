#include "agent/idle-exempt.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "agent/tags.h"

/* What follows "KIND:", if that is the item's kind. */
static const char *value_of(const char *item, const char *kind)
{
	size_t len = strlen(kind);

	return strncmp(item, kind, len) == 0 && item[len] == ':' && item[len + 1] ? item + len + 1
										  : NULL;
}

static bool is_type(const char *type)
{
	return strcasecmp(type, "CONSOLE") == 0 || strcasecmp(type, "VIRTUAL") == 0;
}

int idle_exempt_check(const char *list, struct error *err)
{
	for (const char *item = list; *item; item += strlen(item) + 1) {
		const char *tag = value_of(item, "tag"), *type = value_of(item, "type");

		if ((tag && *tag != '=') || (type && is_type(type)) || value_of(item, "owner") ||
		    value_of(item, "name"))
			continue;
		return error_set(err, ERR_CONFIG,
				 "agent.idle_exempt: expected 'tag:NAME', 'tag:NAME=VALUE', "
				 "'owner:USER', 'name:PATTERN', 'type:console' or 'type:virtual', "
				 "got '%.80s'",
				 item);
	}
	return 0;
}

/* @wanted: NAME, or NAME=VALUE, where a name ends at the first '='. */
static bool has_tag(const json_t *tags, const char *wanted)
{
	const char *value = strchr(wanted, '=');
	size_t len = value ? (size_t)(value - wanted) : strlen(wanted);
	const char *found = tags_get(tags, wanted, len);

	return found && (!value || strcmp(found, value + 1) == 0);
}

static bool holds(const char *item, const struct session *session, const json_t *tags)
{
	const char *value;

	if ((value = value_of(item, "tag")))
		return has_tag(tags, value);
	if ((value = value_of(item, "owner")))
		return session_is_of(session, value);
	if ((value = value_of(item, "name")))
		return fnmatch(value, session->name, 0) == 0;
	value = value_of(item, "type");
	return value && strcasecmp(session->type, value) == 0;
}

const char *idle_exempt_find(const char *list, const struct session *session, const json_t *tags)
{
	for (const char *item = list; *item; item += strlen(item) + 1) {
		if (holds(item, session, tags))
			return item;
	}
	return NULL;
}
