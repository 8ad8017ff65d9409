#include "agent/files/file-request.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/files/protocol.h"
#include "common/cleanup.h"
#include "common/message.h"
#include "common/number.h"
#include "common/text.h"

#define PACKET_MAX_BYTES 65536
#define NUMBER_MAX (1LL << 53) /* what a browser can count to */

/* Which fields an operation needs, and which it may have. */
static const struct {
	const char *name;
	const char *needs[6], *may_have[3];
} operations[N_FILE_OPERATIONS] = {
	[FILE_LIST] = {"list", {"PATH"}, {NULL}},
	[FILE_GET] = {"get", {"PATH"}, {"RANGE", "IF_RANGE"}},
	[FILE_PART] = {"part", {"PATH", "SIZE", "TIME"}, {NULL}},
	[FILE_PUT] = {"put", {"PATH", "SIZE", "TIME", "OFFSET", "LENGTH"}, {NULL}},
	[FILE_DROP] = {"drop", {"PATH", "SIZE", "TIME"}, {NULL}},
};

static int find_operation(const char *name, struct file_request *r, struct error *err)
{
	for (size_t i = 0; name && i < N_FILE_OPERATIONS; i++) {
		if (strcmp(operations[i].name, name) == 0) {
			r->operation = (enum file_operation)i;
			return 0;
		}
	}
	return error_set(err, ERR_INVALID, "there is no such operation");
}

static int check_fields(const struct file_request *r, const struct message *message,
			struct error *err)
{
	const char *names[ARRAY_SIZE(operations[0].needs) + ARRAY_SIZE(operations[0].may_have)] = {
		"OPERATION"};
	size_t n = 1;

	for (size_t i = 0; operations[r->operation].needs[i]; i++) {
		names[n] = operations[r->operation].needs[i];
		if (!message_get(message, names[n++]))
			return error_set(err, ERR_INVALID, "%s is missing", names[n - 1]);
	}
	for (size_t i = 0; operations[r->operation].may_have[i]; i++)
		names[n++] = operations[r->operation].may_have[i];
	return message_expect(message, names, err);
}

static const char *read_text(const struct message *message, const char *name)
{
	const char *text = message_get(message, name);

	return text ? text : "";
}

static int read_number(const struct message *message, const char *name, long long *ret,
		       struct error *err)
{
	const char *text = message_get(message, name);

	if (!text || number_parse(text, 0, NUMBER_MAX, ret))
		return 0;
	return error_set(err, ERR_INVALID, "%s: expected a number from 0 to 2^53", name);
}

static int read_fields(const struct message *message, struct file_request *r, struct error *err)
{
	r->path = read_text(message, "PATH");
	r->range = read_text(message, "RANGE");
	r->if_range = read_text(message, "IF_RANGE");
	if (strlen(r->path) > FILES_PATH_MAX_BYTES)
		return error_set(err, ERR_INVALID, "the path is longer than %d bytes",
				 FILES_PATH_MAX_BYTES);
	if (read_number(message, "SIZE", &r->size, err) < 0 ||
	    read_number(message, "TIME", &r->time, err) < 0 ||
	    read_number(message, "OFFSET", &r->offset, err) < 0 ||
	    read_number(message, "LENGTH", &r->length, err) < 0)
		return -1;
	if (r->offset + r->length > r->size)
		return error_set(err, ERR_INVALID, "that is more than the size of the file");
	return 0;
}

int file_request_parse(struct file_request *ret, const void *packet, size_t len, struct error *err)
{
	struct message message;

	*ret = (struct file_request){.path = ""};
	if (len == 0 || len > PACKET_MAX_BYTES)
		return error_set(err, ERR_INVALID, "a packet of %zu bytes", len);
	ret->packet = malloc(len);
	if (!ret->packet)
		return error_oom(err);
	memcpy(ret->packet, packet, len);
	if (message_parse(&message, ret->packet, len, err) < 0 ||
	    find_operation(message_get(&message, "OPERATION"), ret, err) < 0 ||
	    check_fields(ret, &message, err) < 0)
		return -1;
	return read_fields(&message, ret, err);
}

void file_request_done(struct file_request *request)
{
	free(TAKE(request->packet));
}

/* One number of a range, which ends where @end says. */
static bool read_bound(const char **at, char end, long long *ret)
{
	size_t len = strspn(*at, "0123456789");
	char text[20];

	if (len == 0 || len >= sizeof(text) || (*at)[len] != end)
		return false;
	memcpy(text, *at, len);
	text[len] = '\0';
	*at += len + (end != '\0');
	return number_parse(text, 0, NUMBER_MAX, ret);
}

int file_range_read(const char *range, long long size, long long *ret_first, long long *ret_length)
{
	long long first, last = NUMBER_MAX, n;
	const char *at = range;

	if (!text_skip(&at, "bytes="))
		return 200;
	if (text_skip(&at, "-")) {
		if (!read_bound(&at, '\0', &n))
			return 200;
		first = n < size ? size - n : 0;
		if (n == 0)
			return 416;
	} else if (!read_bound(&at, '-', &first) ||
		   (*at && (!read_bound(&at, '\0', &last) || last < first))) {
		return 200;
	}
	if (first >= size)
		return 416;
	*ret_first = first;
	*ret_length = (last < size ? last + 1 : size) - first;
	return 206;
}
