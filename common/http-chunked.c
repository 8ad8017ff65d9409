#include "common/http-chunked.h"

#include <ctype.h>

#define LINE_MAX_BYTES 4096

enum state {
	SIZE,
	SIZE_BLANK, /* blanks that some put after the size */
	EXTENSION,  /* ignored up to the end of the line */
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_START,
	TRAILER,
	TRAILER_LF,
	LAST_LF,
	DONE
};

static int bad(struct error *err)
{
	return error_set(err, ERR_INVALID, "ill-formed chunked body");
}

static int on_size(struct http_chunked *c, int byte, struct error *err)
{
	if (c->state == SIZE && isxdigit(byte)) {
		if (++c->n_digits > 15)
			return bad(err);
		c->left = c->left * 16 +
			  (unsigned)(isdigit(byte) ? byte - '0' : tolower(byte) - 'a' + 10);
		return 0;
	}
	if (c->n_digits == 0)
		return bad(err);
	if (byte == '\r')
		c->state = SIZE_LF;
	else if (byte == ';')
		c->state = EXTENSION;
	else if (byte == ' ' || byte == '\t')
		c->state = SIZE_BLANK;
	else
		return bad(err);
	return 0;
}

/* A byte of a line that is not looked at: others may take a lone line feed for its end. */
static int on_ignored(struct http_chunked *c, int byte, enum state at_end, struct error *err)
{
	if (byte == '\n')
		return bad(err);
	if (byte == '\r')
		c->state = (int)at_end;
	return 0;
}

/* A byte that must be @wanted, and the state after it. */
static int expect(struct http_chunked *c, int byte, int wanted, enum state next, struct error *err)
{
	if (byte != wanted)
		return bad(err);
	c->state = (int)next;
	c->n_line = 0;
	return 0;
}

static int on_byte(struct http_chunked *c, int byte, struct error *err)
{
	if (++c->n_line > LINE_MAX_BYTES)
		return bad(err);
	switch ((enum state)c->state) {
	case SIZE:
	case SIZE_BLANK:
		return on_size(c, byte, err);
	case EXTENSION:
		return on_ignored(c, byte, SIZE_LF, err);
	case SIZE_LF:
		return expect(c, byte, '\n', c->left > 0 ? DATA : TRAILER_START, err);
	case DATA_CR:
		return expect(c, byte, '\r', DATA_LF, err);
	case DATA_LF:
		c->n_digits = 0;
		return expect(c, byte, '\n', SIZE, err);
	case TRAILER_START:
		c->state = TRAILER;
		return on_ignored(c, byte, LAST_LF, err);
	case TRAILER:
		return on_ignored(c, byte, TRAILER_LF, err);
	case TRAILER_LF:
		/* n_line goes on: the trailers together are bounded */
		if (byte != '\n')
			return bad(err);
		c->state = TRAILER_START;
		return 0;
	case LAST_LF:
		return expect(c, byte, '\n', DONE, err);
	case DATA:
	case DONE:
		break;
	}
	return 0;
}

int http_chunked_feed(struct http_chunked *c, const char *bytes, size_t len, size_t max_bytes,
		      struct buf *body, size_t *ret_used, bool *ret_done, struct error *err)
{
	size_t all = len;

	while (len > 0 && c->state != DONE) {
		size_t n = 1;

		if (c->state == DATA) {
			n = c->left < len ? (size_t)c->left : len;
			if (body->len > max_bytes || n > max_bytes - body->len)
				return error_set(err, ERR_TOO_LARGE,
						 "the body is larger than %zu bytes", max_bytes);
			if (buf_append(body, bytes, n, err) < 0)
				return -1;
			c->left -= n;
			if (c->left == 0)
				c->state = DATA_CR;
		} else if (on_byte(c, (unsigned char)*bytes, err) < 0) {
			return -1;
		}
		bytes += n;
		len -= n;
	}
	*ret_used = all - len;
	*ret_done = c->state == DONE;
	return 0;
}
