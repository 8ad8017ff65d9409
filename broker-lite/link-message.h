/**
 * What an agent sends, taken apart without parsing its body: the members of a message come in a
 * fixed order and without blanks between them. Source: common/link-protocol.h.
 */
#ifndef BROKER_LINK_MESSAGE_H
#define BROKER_LINK_MESSAGE_H

#include <stddef.h>

#include "common/error.h"

enum link_message_kind { LINK_REPLY, LINK_REPORT, LINK_CERTIFICATE_REQUEST };

struct link_message {
	enum link_message_kind kind;
	long long id;     /* of the command that is answered */
	int status;       /* the same: 200, or the HTTP status of a failure */
	const char *body; /* a JSON object whose braces and quotes match; borrowed */
	size_t body_len;
};

/** @text ends in a NUL that @len does not count. ERR_INVALID. */
int link_message_read(const char *text, size_t len, struct link_message *ret, struct error *err);

/** What the body of a failed reply says. */
void link_message_read_failure(const struct link_message *message, struct error *ret);

#endif
