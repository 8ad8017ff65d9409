/**
 * Telling whoever started a program that it is up: one line on a descriptor that they gave it
 * (--ready-fd N), for scripts and tests. A service manager is told by its own protocol.
 */
#ifndef COMMON_READY_H
#define COMMON_READY_H

#include "common/error.h"

/** The descriptor that an option's value names, from 3 up. ERR_USAGE. */
int ready_parse(const char *text, int *ret_fd, struct error *err);

/** Write "ready\n" and close. -1, no descriptor, is fine. A reader that has gone makes no odds. */
void ready_tell(int *fd);

#endif
