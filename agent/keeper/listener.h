/** Accepting connections where systemd does not, one process for each. */
#ifndef AGENT_KEEPER_LISTENER_H
#define AGENT_KEEPER_LISTENER_H

#include "agent/keeper/options.h"

/** Run until SIGTERM or SIGINT, which ends no session. The program's exit status. */
int listener_run(const struct options *options);

#endif
