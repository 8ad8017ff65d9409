/** Which start of which machine this is. Source: /proc/sys/kernel/random/boot_id, random(4). */
#ifndef COMMON_BOOT_ID_H
#define COMMON_BOOT_ID_H

#include "common/text.h"

/** Another id after each boot; "" where it cannot be read. */
void boot_read_id(char ret[UUID_SIZE]);

#endif
