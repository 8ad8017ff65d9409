/* Whatever is behind files/ in a path, what is read of it lies within, and what is asked of the program is a
 * whole message. The first byte chooses the method, a NUL ends the path and begins the query. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/viewer/file-address.h"
#include "agent/viewer/share.h"
#include "common/cleanup.h"
#include "common/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct file_address *address, const struct http_request *request)
{
	AUTO(buf_done) struct buf packet = {0};
	struct message message;
	struct error err;

	if (address->path < request->path ||
	    address->path > request->path + strlen(request->path) ||
	    strlen(address->key) <= SHARE_KEY_BYTES || address->needs == 0 ||
	    file_address_append(address, request, &packet, &err) < 0 ||
	    message_parse(&message, packet.data, packet.len, &err) < 0 ||
	    strcmp(message_get(&message, "PATH"), address->path) != 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "POST"};
	AUTO(free_p) char *text = size > 0 ? calloc(1, size + 1) : NULL;
	struct http_request request = {.range = "bytes=0-", .if_range = ""};
	struct file_address address;
	struct error err = {0};

	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	request.method = methods[data[0] % ARRAY_SIZE(methods)];
	request.path = text;
	request.query = strlen(text) + 1 < size ? text + strlen(text) + 1 : "";
	if (file_address_read(&request, text, &address, &err) == 0)
		check(&address, &request);
	else if (!err.message[0])
		__builtin_trap();
	return 0;
}
