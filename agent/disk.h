/** Free space of the file systems that sessions need. */
#ifndef AGENT_DISK_H
#define AGENT_DISK_H

#include <jansson.h>

/**
 * A new object of the bytes that users may still fill below /home, /tmp and /run. What lies on
 * another machine is left out: to ask for it may take for ever. NULL without memory.
 * @root: where the list of mounts is, see host-file.h.
 */
json_t *disk_free_bytes(const char *root);

#endif
