#include "agent/viewer/file-reply.h"

#include <stdio.h>
#include <string.h>

#include "agent/files/protocol.h"
#include "common/message.h"
#include "common/number.h"

#define LENGTH_BYTES 2
#define NUMBER_MAX (1LL << 53)

size_t file_reply_length(const char *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;

	return len < LENGTH_BYTES ? 0 : LENGTH_BYTES + ((size_t)p[0] << 8) + p[1];
}

static int read_number(const struct message *message, const char *name, long long most,
		       unsigned long long *ret, struct error *err)
{
	const char *text = message_get(message, name);
	long long number;

	if (!text || !number_parse(text, 0, most, &number))
		return error_set(err, ERR_INVALID, "%s is missing or wrong", name);
	*ret = (unsigned long long)number;
	return 0;
}

/* It becomes a header line. */
static int read_etag(const char *etag, struct file_reply *ret, struct error *err)
{
	size_t len = strlen(etag);

	if (len < 2 || len >= sizeof(ret->etag) || etag[0] != '"' || etag[len - 1] != '"' ||
	    strspn(etag + 1, "0123456789abcdef-") != len - 2)
		return error_set(err, ERR_INVALID, "ETAG is wrong");
	(void)snprintf(ret->etag, sizeof(ret->etag), "%s", etag);
	return 0;
}

static int read_file(const struct message *message, const char *etag, struct file_reply *ret,
		     struct error *err)
{
	if (read_etag(etag, ret, err) < 0 ||
	    read_number(message, "FIRST", NUMBER_MAX, &ret->first, err) < 0 ||
	    read_number(message, "TOTAL", NUMBER_MAX, &ret->total, err) < 0)
		return -1;
	if (ret->first + ret->length > ret->total || (ret->status == 206 && ret->length == 0))
		return error_set(err, ERR_INVALID, "more bytes than there are");
	return 0;
}

int file_reply_read(const char *bytes, size_t len, struct file_reply *ret, struct error *err)
{
	static const char *const names[] = {"STATUS", "LENGTH", "ETAG", "FIRST", "TOTAL", NULL};
	struct file_reply reply = {0};
	struct message message;
	unsigned long long status;
	const char *etag;

	if (len <= LENGTH_BYTES || len != file_reply_length(bytes, len) ||
	    message_parse(&message, bytes + LENGTH_BYTES, len - LENGTH_BYTES, err) < 0 ||
	    message_expect(&message, names, err) < 0 ||
	    read_number(&message, "STATUS", 599, &status, err) < 0 ||
	    read_number(&message, "LENGTH", NUMBER_MAX, &reply.length, err) < 0)
		return error_set(err, ERR_INVALID, "what serves the files makes no sense");
	reply.status = (int)status;
	etag = message_get(&message, "ETAG");
	if (etag && read_file(&message, etag, &reply, err) < 0)
		return -1;
	if (reply.status < 200 || (!etag && (reply.status == 206 || reply.status == 416)))
		return error_set(err, ERR_INVALID, "STATUS is wrong");
	*ret = reply;
	return 0;
}
