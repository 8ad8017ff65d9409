/** The keeper of one connection: its first message says what it is for. */
#ifndef AGENT_KEEPER_KEEPER_H
#define AGENT_KEEPER_KEEPER_H

#include "agent/keeper/options.h"

/** Serve an accepted connection, which is taken over, to the end. The program's exit status. */
int keeper_serve(const struct options *options, int fd);

#endif
