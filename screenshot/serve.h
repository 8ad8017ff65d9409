/**
 * `dcv-screenshot --serve FD`: screenshots on demand, for another program on the same host.
 *
 * FD is a connected SOCK_SEQPACKET Unix socket, the display is $DISPLAY, its authority $XAUTHORITY.
 * Every packet is one message (common/message.h). Requests are served in order over one X
 * connection, which is opened by the first.
 *
 * Request, at most SERVE_REQUEST_MAX_BYTES:
 *    TAG         any text up to SERVE_TAG_MAX_BYTES, repeated in every answer
 *    FORMAT      png (when absent) or jpeg
 *    MAX_WIDTH, MAX_HEIGHT   bounds in pixels, 0 to 65535, 0 (when absent) for none
 * An entry that is unknown or comes twice is refused.
 *
 * Answer, one packet per monitor, the primary monitor's first:
 *    TAG
 *    IMAGE, COUNT            which of how many, IMAGE counting from 0
 *    FORMAT
 *    PRIMARY                 1 for IMAGE=0, otherwise 0
 *    CREATION_TIME_MS        when the display was seen to show this, since 1970-01-01T00:00:00Z
 * and with each one descriptor (SCM_RIGHTS): a memfd that holds the file from its beginning to its
 * end, sealed with F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE and F_SEAL_SEAL.
 *
 * or, instead of the first or of any later one, as the last to this request:
 *    TAG                     empty if it could not be read
 *    ERROR                   a sentence
 *
 * When nothing has changed on the display since the same was asked for, it is neither read nor encoded
 * again: the answers carry the same files, through new descriptors.
 *
 * The program ends, with status 0, when FD is at its end, when nothing was asked for
 * SERVE_IDLE_TIMEOUT_MS, and when the display goes away between two requests; with status 1 after
 * an answer that told of a display that cannot be reached or does not answer.
 */
#ifndef SCREENSHOT_SERVE_H
#define SCREENSHOT_SERVE_H

#include <stddef.h>

#include "common/error.h"
#include "screenshot/screenshot.h"

#define SERVE_REQUEST_MAX_BYTES 1024
#define SERVE_ANSWER_MAX_BYTES 1024
#define SERVE_TAG_MAX_BYTES 128
#define SERVE_IDLE_TIMEOUT_MS 60000

struct serve_request {
	char tag[SERVE_TAG_MAX_BYTES + 1];
	struct screenshot_options options;
};

/**
 * Read a request from a packet. Unlike elsewhere, @ret is written on failure as well: its tag is
 * then what the answer is to carry.
 *
 * Errors: ERR_INVALID, ERR_TOO_LARGE for a packet that is too long.
 */
int serve_request_parse(const void *bytes, size_t len, struct serve_request *ret,
			struct error *err);

/**
 * Serve until there is a reason to end.
 *
 * @fd: borrowed
 * @display: as for capture_new(); borrowed
 * Errors: those of a display that cannot be reached or does not answer (already told to the peer);
 * ERR_SYSTEM when the socket is none of ours.
 */
int serve_run(int fd, const char *display, int idle_timeout_ms, struct error *err);

#endif
