/**
 * Decoder of the chunked transfer coding, fed with raw bytes as they come.
 * Strict: no chunk extensions beyond what RFC 9112, 7.1 allows, CRLF only. Source: RFC 9112, 7.1.
 */
#ifndef COMMON_HTTP_CHUNKED_H
#define COMMON_HTTP_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

struct http_chunked {
	int state;
	unsigned long long left; /* bytes of this chunk still to come */
	unsigned n_digits;
	unsigned n_line; /* bytes in the present line, bounded */
};

/** Ready for a body: `= HTTP_CHUNKED_INIT`. */
#define HTTP_CHUNKED_INIT                                                                          \
	{                                                                                          \
		0                                                                                  \
	}

/**
 * Decode @len raw bytes, appending to @body. *ret_done: the last chunk and its trailers are in;
 * what follows them is not read. *ret_used: bytes that were read. ERR_INVALID on ill-formed coding, ERR_TOO_LARGE above @max_bytes.
 */
int http_chunked_feed(struct http_chunked *c, const char *bytes, size_t len, size_t max_bytes,
		      struct buf *body, size_t *ret_used, bool *ret_done, struct error *err);

#endif
