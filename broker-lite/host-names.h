/** The names and addresses of this host, as a certificate tells them. */
#ifndef BROKER_HOST_NAMES_H
#define BROKER_HOST_NAMES_H

#include "common/buf.h"
#include "common/error.h"

/**
 * Append them as a subjectAltName text (common/subject-names.h): short and full name, localhost, every address but those of one link alone, and @extra, a list with commas, or
 * NULL. Asks the system's resolver, so it may block.
 */
int host_names_append(const char *extra, struct buf *ret, struct error *err);

/** Append what such a @list holds, and nothing else. */
int host_names_append_list(const char *list, struct buf *ret, struct error *err);

#endif
