/* A chunked body means the same in one piece and in pieces, and never grows above the limit. The
 * first byte is the size of the pieces. */
#include <stdint.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/http-chunked.h"

#define MAX_BYTES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const char *bytes, size_t len, size_t step, struct buf *body, bool *ret_done,
		struct error *err)
{
	struct http_chunked c = HTTP_CHUNKED_INIT;
	size_t used;

	*ret_done = false;
	for (size_t at = 0; at < len && !*ret_done; at += step) {
		size_t n = len - at < step ? len - at : step;

		if (http_chunked_feed(&c, bytes + at, n, MAX_BYTES, body, &used, ret_done, err) < 0)
			return -1;
		if (used > n || (used < n && !*ret_done))
			__builtin_trap();
		if (body->len > MAX_BYTES)
			__builtin_trap();
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_done) struct buf whole = {0}, pieces = {0};
	struct error err = {0}, err_pieces = {0};
	bool is_done, is_done_pieces;
	int result, result_pieces;
	const char *bytes = (const char *)data + 1;

	if (size < 2)
		return 0;
	result = feed(bytes, size - 1, size - 1, &whole, &is_done, &err);
	result_pieces =
		feed(bytes, size - 1, (size_t)data[0] + 1, &pieces, &is_done_pieces, &err_pieces);
	if (result != result_pieces || err.code != err_pieces.code)
		__builtin_trap();
	if (result == 0 && (is_done != is_done_pieces || whole.len != pieces.len ||
			    (whole.len > 0 && memcmp(whole.data, pieces.data, whole.len) != 0)))
		__builtin_trap();
	return 0;
}
