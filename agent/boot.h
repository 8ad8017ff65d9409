/** Which start of the host this is. Source: /proc/sys/kernel/random/boot_id, random(4). */
#ifndef AGENT_BOOT_H
#define AGENT_BOOT_H

#include <stdbool.h>

#include "common/text.h"

/** Another id after each boot; "" where it cannot be read. */
void boot_read_id(char ret[UUID_SIZE]);

/**
 * Whether the host was booted since this was asked before, with the same @state_folder, where the
 * answer's reason is kept. False if that is not known.
 */
bool boot_is_new(const char *state_folder);

#endif
