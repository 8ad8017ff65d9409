/** Whether the service manager takes the whole machine down. */
#ifndef AGENT_KEEPER_SHUTDOWN_H
#define AGENT_KEEPER_SHUTDOWN_H

#include <stdbool.h>

/**
 * Asks systemd, which may take up to a second; false where it does not run or does not answer. Source:
 * org.freedesktop.systemd1(5), SystemState.
 */
bool shutdown_is_under_way(void);

#endif
