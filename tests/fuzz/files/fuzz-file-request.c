/* Whatever bytes arrive, a request is either refused with a sentence or whole, and what a field Range asks
 * for lies in the file. The path serves as such a field, too. */
#include <stdint.h>
#include <string.h>

#include "agent/files/file-request.h"
#include "agent/files/protocol.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(const char *range, long long size)
{
	long long first = -1, length = -1;

	switch (file_range_read(range, size, &first, &length)) {
	case 206:
		if (first < 0 || length < 1 || first > size - length)
			__builtin_trap();
		return;
	case 200:
	case 416:
		if (first != -1 || length != -1)
			__builtin_trap();
		return;
	default:
		__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(file_request_done) struct file_request r = {0};
	struct error err = {0};

	if (file_request_parse(&r, data, size, &err) < 0) {
		if (!err.message[0])
			__builtin_trap();
		return 0;
	}
	if (strlen(r.path) > FILES_PATH_MAX_BYTES || r.offset < 0 || r.length < 0 ||
	    r.offset + r.length > r.size || (unsigned)r.operation >= N_FILE_OPERATIONS)
		__builtin_trap();
	check_range(r.range, 1000);
	check_range(r.path, (long long)size);
	return 0;
}
