/* Whatever the owner's program says, its head is either refused with a sentence or fit to be told to a
 * browser. */
#include <stdint.h>
#include <string.h>

#include "agent/viewer/file-reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	size_t len = file_reply_length(bytes, size);
	struct file_reply reply = {0};
	struct error err = {0};

	if (size < 2) {
		if (len != 0)
			__builtin_trap();
		return 0;
	}
	if (file_reply_read(bytes, size, &reply, &err) < 0) {
		if (!err.message[0] || reply.status != 0)
			__builtin_trap();
		return 0;
	}
	if (len != size || reply.status < 200 || reply.status > 599 ||
	    strpbrk(reply.etag, "\r\n") ||
	    (reply.etag[0] && reply.first + reply.length > reply.total))
		__builtin_trap();
	return 0;
}
