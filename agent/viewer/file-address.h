/**
 * Which file is asked for, and for what: the part of a request's path that follows files/.
 *
 *     GET           KEY/list/FOLDER
 *     GET, HEAD     KEY/content/FILE
 *     PUT           KEY/content/FILE?size=N&time=N&offset=N   bytes of it, from there on
 *     GET, DELETE   KEY/part/FILE?size=N&time=N               what is there of it
 *
 * See agent/files/protocol.h for what becomes of it.
 */
#ifndef AGENT_VIEWER_FILE_ADDRESS_H
#define AGENT_VIEWER_FILE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/http-server.h"

#define FILE_PIECE_MAX_BYTES (64UL * 1024 * 1024) /* that are uploaded by one request */

struct file_address {
	const char *key; /* SHARE_KEY_BYTES long; this and the path are within the request's */
	const char *operation; /* of the protocol */
	const char *path;
	uint32_t needs; /* one of these features */
	bool is_content;
	bool is_upload;
};

/** @below: what follows files/ in the path of @request. */
int file_address_read(const struct http_request *request, const char *below,
		      struct file_address *ret, struct error *err);

/** The request as the program takes it. */
int file_address_append(const struct file_address *address, const struct http_request *request,
			struct buf *packet, struct error *err);

#endif
