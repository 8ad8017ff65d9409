/**
 * The head of what comes back from the program that serves the files, agent/files/protocol.h. It is the
 * owner's process, and not more to be believed than they are.
 */
#ifndef AGENT_VIEWER_FILE_REPLY_H
#define AGENT_VIEWER_FILE_REPLY_H

#include <stddef.h>

#include "common/error.h"

#define FILE_REPLY_ETAG_SIZE 80

struct file_reply {
	int status;
	unsigned long long length;       /* of the body */
	char etag[FILE_REPLY_ETAG_SIZE]; /* "": it has no bytes of a file */
	unsigned long long first, total;
};

/** The bytes that a head takes, by its first @len; 0: not known yet. */
size_t file_reply_length(const char *bytes, size_t len);

/** Read a whole one. */
int file_reply_read(const char *bytes, size_t len, struct file_reply *ret, struct error *err);

#endif
