#include "broker-lite/screenshot-reply.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"

typedef uint8_t characters __attribute__((vector_size(16)));

enum { FORMAT, DATA, CREATION_TIME, PRIMARY, N_MEMBERS };

static const char *const members[N_MEMBERS] = {
	[FORMAT] = "\"Format\":",
	[DATA] = "\"Data\":",
	[CREATION_TIME] = "\"CreationTime\":",
	[PRIMARY] = "\"Primary\":",
};

/* Step over a string of such letters only. */
static bool skip_quoted(const char **at, const char *letters)
{
	if (!text_skip(at, "\""))
		return false;
	*at += strspn(*at, letters);
	return text_skip(at, "\"");
}

/* 0xff for each character that base64 has. GCC and clang make the processor's own vectors of it. */
static characters are_base64(characters c)
{
	characters letter = (c | 0x20) - 'a',
		   digit = c - '/'; /* 0 to 25; '/' and then the digits */

	return (characters)(letter < 26) | (characters)(digit < 11) | (characters)(c == '+') |
	       (characters)(c == '=');
}

/* Without branches: an image has millions of characters, and this is most of what is done to it. */
static bool is_base64(const char *text, size_t len)
{
	characters all, good, none = {0};

	memset(&all, 0xff, sizeof(all));
	for (; len >= sizeof(all); text += sizeof(all), len -= sizeof(all)) {
		memcpy(&good, text, sizeof(good));
		all &= are_base64(good);
	}
	memset(&good, '=', sizeof(good));
	memcpy(&good, text, len);
	all = ~(all & are_base64(good));
	return memcmp(&all, &none, sizeof(all)) == 0;
}

static bool skip_base64(const char **at, const char *end)
{
	const char *quote;

	if (!text_skip(at, "\""))
		return false;
	quote = memchr(*at, '"', (size_t)(end - *at));
	if (!quote || !is_base64(*at, (size_t)(quote - *at)))
		return false;
	*at = quote + 1;
	return true;
}

static bool skip_member(const char **at, const char *end, unsigned *seen)
{
	int member = 0;

	while (member < N_MEMBERS && !text_skip(at, members[member]))
		member++;
	if (member == N_MEMBERS || *seen & 1U << member)
		return false;
	*seen |= 1U << member;
	switch (member) {
	case FORMAT:
		return text_skip(at, "\"png\"") || text_skip(at, "\"jpeg\"");
	case DATA:
		return skip_base64(at, end);
	case CREATION_TIME:
		return skip_quoted(at, "0123456789-T:.Z");
	default:
		return text_skip(at, "true") || text_skip(at, "false");
	}
}

static bool skip_image(const char **at, const char *end)
{
	unsigned seen = 0;

	if (!text_skip(at, "{"))
		return false;
	do {
		if (!skip_member(at, end, &seen))
			return false;
	} while (text_skip(at, ","));
	return seen == (1U << N_MEMBERS) - 1 && text_skip(at, "}");
}

static bool skip_images(const char **at, const char *end)
{
	if (!text_skip(at, "["))
		return false;
	do {
		if (!skip_image(at, end))
			return false;
	} while (text_skip(at, ","));
	return text_skip(at, "]");
}

/* The id of the reply is not read: which session was asked for, we know. */
static bool skip_head(const char **at)
{
	if (!text_skip(at, "{\"SessionScreenshot\":{\"SessionId\":\""))
		return false;
	while (**at && **at != '"')
		*at += **at == '\\' ? 2 : 1;
	return text_skip(at, "\",\"Images\":");
}

int screenshot_reply_append(const char *id, const char *body, size_t len, struct buf *ret,
			    struct error *err)
{
	const char *at = body, *images, *end;
	bool is_good = skip_head(&at);

	images = at;
	is_good = is_good && skip_images(&at, body + len);
	end = at;
	if (!is_good || !text_skip(&at, "}}") || at != body + len)
		return error_set(err, ERR_INVALID, "the host's answer is not a screenshot");
	if (buf_reserve(ret, len + strlen(id), err) < 0 ||
	    buf_append_text(ret, "{\"SessionScreenshot\":{\"SessionId\":", err) < 0 ||
	    json_append_string(ret, id, err) < 0 || buf_append_text(ret, ",\"Images\":", err) < 0 ||
	    buf_append(ret, images, (size_t)(end - images), err) < 0)
		return -1;
	return buf_append_text(ret, "}}", err);
}
