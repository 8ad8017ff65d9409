#include "broker-lite/link-message.h"

#include <string.h>

#include "broker-lite/span.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"

#define FAILURE_MAX_BYTES 65536

/* Up to 15 digits: any of our ids, and no way to overflow. */
static bool read_number(const char **at, long long *ret)
{
	size_t n = strspn(*at, "0123456789");
	long long value = 0;

	if (n == 0 || n > 15)
		return false;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + ((*at)[i] - '0');
	*at += n;
	*ret = value;
	return true;
}

static bool read_reply_head(const char **at, struct link_message *message)
{
	long long status;

	if (!text_skip(at, "{\"id\":") || !read_number(at, &message->id) ||
	    !text_skip(at, ",\"status\":") || !read_number(at, &status) || status < 200 ||
	    status > 599)
		return false;
	message->status = (int)status;
	return text_skip(at, ",\"body\":");
}

int link_message_read(const char *text, size_t len, struct link_message *ret, struct error *err)
{
	struct link_message message = {0};
	const char *at = text;

	if (text_skip(&at, "{\"event\":\"report\",\"body\":"))
		message.kind = LINK_REPORT;
	else if (text_skip(&at, "{\"event\":\"certificateRequest\",\"body\":"))
		message.kind = LINK_CERTIFICATE_REQUEST;
	else if (!read_reply_head(&at, &message))
		return error_set(err, ERR_INVALID, "neither a report nor a reply");
	message.body = at;
	message.body_len = json_object_span(at, (size_t)(text + len - at));
	if (message.body_len == 0 || at + message.body_len + 1 != text + len ||
	    at[message.body_len] != '}')
		return error_set(err, ERR_INVALID, "the body is not one JSON object");
	*ret = message;
	return 0;
}

void link_message_read_failure(const struct link_message *message, struct error *ret)
{
	json_auto_t *body = NULL;
	struct error ignored;
	const char *code = NULL, *text = NULL;

	if (message->body_len <= FAILURE_MAX_BYTES &&
	    json_parse(message->body, message->body_len, &body, &ignored) == 0) {
		code = json_get_text(body, "code");
		text = json_get_text(body, "error");
	}
	(void)error_set(ret, error_from_wire_name(code ? code : ""), "%s",
			text && *text ? text : "the host gave no reason");
	if (ret->code == ERR_NONE)
		ret->code = ERR_SYSTEM;
}
