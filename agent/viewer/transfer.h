/**
 * One request of a browser for a session's files, which is relayed to the program that serves them: the
 * bytes go through as they come, at the pace of whoever is slower.
 *
 * What is answered is never a page: files are attachments without a type, in a sandbox, whoever has
 * written them.
 */
#ifndef AGENT_VIEWER_TRANSFER_H
#define AGENT_VIEWER_TRANSFER_H

#include "agent/viewer/file-reply.h"
#include "agent/viewer/share.h"
#include "common/http-server.h"

struct transfer {
	uv_pipe_t stream; /* first; to the program */
	struct list link; /* share::transfers */
	struct share *share;
	uint32_t needs;               /* one of these features */
	struct http_request *request; /* NULL: it is answered, or the browser has gone */
	struct storage_request asked;
	char *path; /* of the file; NULL: bytes of none are sent or taken */
	bool is_upload;
	bool is_body_in; /* all of it has come */
	bool is_deaf;    /* the program takes no more of it */
	uv_write_t writing;
	bool is_writing;
	struct buf leaving; /* of the body; given to the system, which has not taken it yet */
	struct buf head;    /* of the reply, as far as it has come */
	bool has_reply;
	unsigned long long left; /* of the reply's body */
};

/** Of requests whose path has files/ below ours. */
extern const struct http_flow transfer_flow;

/** Serve one of them. @below: what follows. */
void transfer_begin(struct shares *shares, struct http_request *request, const char *below);

/** The right to it is gone. The transfer is, too. */
void transfer_break_off(struct transfer *transfer);

#endif
