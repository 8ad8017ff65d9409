/** What goes back on the stream of a request, see protocol.h. All of it blocks until the viewer takes it. */
#ifndef AGENT_FILES_REPLY_H
#define AGENT_FILES_REPLY_H

#include "common/buf.h"
#include "common/error.h"

struct reply_head {
	int status;
	long long length;
	const char *etag; /* NULL: not the bytes of a file, and what follows has no meaning */
	long long first, total;
};

/** -1: the viewer has gone, or there is no memory. */
int reply_begin(int stream, const struct reply_head *head);
int reply_send(int stream, const void *bytes, size_t len);

/** A whole one. */
int reply_json(int stream, int status, const struct buf *body);
int reply_offset(int stream, long long offset);

/** @offset: where to go on, -1: it does not matter. */
int reply_error(int stream, const struct error *why, long long offset);

#endif
