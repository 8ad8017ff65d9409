/**
 * ~/.xsession-errors: where the host's Xsession sends what it and the desktop print, so that a
 * desktop that ends has told its pipe nothing.
 */
#ifndef AGENT_KEEPER_XSESSION_ERRORS_H
#define AGENT_KEEPER_XSESSION_ERRORS_H

#include <stddef.h>
#include <time.h>

#include "agent/account.h"

/**
 * The end of the file, if it was written since @since; the number of bytes, 0 if there are none. It
 * is read by a child that has become the owner. Blocks, for a second at most: the folder's server may
 * not answer.
 */
size_t xsession_errors_read(const struct account *owner, time_t since, char *ret, size_t size);

#endif
