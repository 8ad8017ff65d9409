/** What the viewer asks for: one packet of protocol.h, checked and taken apart. */
#ifndef AGENT_FILES_FILE_REQUEST_H
#define AGENT_FILES_FILE_REQUEST_H

#include <stddef.h>

#include "common/error.h"

enum file_operation { FILE_LIST, FILE_GET, FILE_PART, FILE_PUT, FILE_DROP, N_FILE_OPERATIONS };

struct file_request {
	enum file_operation operation;
	const char *path, *range, *if_range;  /* "" where absent */
	long long size, time, offset, length; /* 0 where absent */
	char *packet;                         /* which the texts point into */
};

/** Read a packet, which is copied. End with file_request_done(), also after a failure. */
int file_request_parse(struct file_request *ret, const void *packet, size_t len, struct error *err);
void file_request_done(struct file_request *request);

/**
 * The bytes of a file of @size that the field Range asks for. 200: all of them; 206: *ret_first and
 * *ret_length are set, at least one byte; 416: none. More than one range is answered by all. Source:
 * RFC 9110, section 14.
 */
int file_range_read(const char *range, long long size, long long *ret_first, long long *ret_length);

#endif
