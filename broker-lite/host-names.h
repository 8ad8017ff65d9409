/** The names and addresses of this host, as a certificate tells them. */
#ifndef BROKER_HOST_NAMES_H
#define BROKER_HOST_NAMES_H

#include "common/buf.h"
#include "common/error.h"

/**
 * Append them as a subjectAltName text, such as "DNS:cad01,DNS:localhost,IP:::1": short and full
 * name, localhost, every address but those of one link alone, and @extra, a list with commas, or
 * NULL. Asks the system's resolver, so it may block.
 */
int host_names_append(const char *extra, struct buf *ret, struct error *err);

#endif
