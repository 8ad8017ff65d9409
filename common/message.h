/**
 * Messages between our own processes: NAME=value strings, each ended by a NUL byte, one message to
 * a packet. A name is one or more of A-Z and '_'; a value is any bytes but NUL and may be empty.
 * Nothing is quoted or escaped, which is why the parser is fit to run as root.
 *
 * Reading borrows the packet and allocates nothing. Refuse what you do not know:
 *
 *     for (const char *entry = NULL; (entry = message_next(&message, entry));) {
 *             if ((value = message_value(entry, "ARGUMENT")))
 *                     ...
 *             else
 *                     return error_set(err, ERR_INVALID, "...");
 *     }
 *
 * or, where no name may come twice, message_expect() and then message_get().
 */
#ifndef COMMON_MESSAGE_H
#define COMMON_MESSAGE_H

#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

struct message {
	const char *data; /* borrowed; what message_parse() has checked */
	size_t len;       /* with the last NUL; never 0 */
};

/**
 * Check a packet. @bytes must stay as long as @ret is used.
 *
 * Errors: ERR_INVALID when it is empty, does not end in a NUL, or holds a string that is not
 * NAME=value. The sentence does not quote the packet, which may hold secrets.
 */
int message_parse(struct message *ret, const void *bytes, size_t len, struct error *err);

/** The entry after @entry, the first one after NULL; NULL after the last. */
const char *message_next(const struct message *message, const char *entry);

/** The value of @entry if its name is @name, otherwise NULL. */
const char *message_value(const char *entry, const char *name);

/** The value of the first entry of that name, NULL if there is none. */
const char *message_get(const struct message *message, const char *name);

/**
 * Fail with ERR_INVALID unless every name is one of @names, which a NULL ends, and none comes
 * twice.
 */
int message_expect(const struct message *message, const char *const *names, struct error *err);

/**
 * Append one entry to a packet under construction. On failure @buf is as it was.
 *
 * Errors: ERR_INVALID when @name is no name, ERR_NO_MEMORY. A packet's size is for its protocol to
 * bound; nothing is ever cut short here.
 */
int message_add(struct buf *buf, const char *name, const char *value, struct error *err);

#endif
