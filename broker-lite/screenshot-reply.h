/** What a host answers to GetSessionScreenshots, checked without being built: it may be large. */
#ifndef BROKER_SCREENSHOT_REPLY_H
#define BROKER_SCREENSHOT_REPLY_H

#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

/**
 * Append the entry of SuccessfulList for the session @id, with the images of @body.
 *
 * @body: an object whose grammar has been checked, as link_message_read() gives it
 *
 * ERR_INVALID: it has another form than the API's, or members in another order than SessionId and
 * Images; a host is not to break an answer that has entries of others, nor to speak for them.
 */
int screenshot_reply_append(const char *id, const char *body, size_t len, struct buf *ret,
			    struct error *err);

#endif
