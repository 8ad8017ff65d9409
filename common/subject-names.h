/**
 * Names and addresses of a host as a certificate tells them: a subjectAltName text such as
 * "DNS:cad01,DNS:cad01.example,IP:192.0.2.7". Source: RFC 5280, 4.2.1.6.
 */
#ifndef COMMON_SUBJECT_NAMES_H
#define COMMON_SUBJECT_NAMES_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"

/** Is "DNS:..." or "IP:..." in @names (NULL: none)? Case is no difference. */
bool subject_names_has(const char *names, const char *entry);

/** Is "DNS:..." or "IP:..." this name, or this address, however that is written? */
bool subject_name_is(const char *entry, const char *name);

/**
 * Append @name, an address or a host name, unless it is there; an address as inet_ntop() writes it. What is neither is left out, so that no
 * name can bring a comma or another kind of name with it.
 */
int subject_names_add(struct buf *names, const char *name, struct error *err);

/** Step through the names: the "DNS:..." or "IP:..." at *@at as @ret; false: there are no more. */
#define SUBJECT_NAME_SIZE 300
bool subject_names_next(const char **at, char ret[SUBJECT_NAME_SIZE]);

/**
 * Can others reach one host by @name, and that one alone? No localhost, no pattern, no address of
 * loopback, of one link, of many or of none.
 */
bool subject_name_is_of_host(const char *name);

#endif
