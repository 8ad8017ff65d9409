/**
 * The command check-permissions: what is wrong with a permission file, as "FILE:LINE: TEXT", or what
 * it allows, with the lines that decide. Groups of the operating system are those of this host.
 */
#ifndef CTL_CHECK_PERMISSIONS_H
#define CTL_CHECK_PERMISSIONS_H

#include "ctl/exit-status.h"
#include "ctl/option.h"

/** STATUS_VALUE for a file with errors, or without anything to read. */
enum exit_status check_permissions(const struct arguments *args, bool wants_json);

#endif
