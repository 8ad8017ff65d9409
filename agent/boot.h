/** Which start of the host this is. */
#ifndef AGENT_BOOT_H
#define AGENT_BOOT_H

#include <stdbool.h>

#include "common/boot-id.h"

/**
 * Whether the host was booted since this was asked before, with the same @state_folder, where the
 * answer's reason is kept. False if that is not known.
 */
bool boot_is_new(const char *state_folder);

#endif
