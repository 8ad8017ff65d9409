/** What a keeper that was killed has left: its session's processes, X socket and folder. */
#ifndef AGENT_KEEPER_LEFTOVER_H
#define AGENT_KEEPER_LEFTOVER_H

#include "agent/keeper/options.h"
#include "common/error.h"

/**
 * End and remove all of it. Waits until nothing is left, LEFTOVER_TIMEOUT_S at most. Success also
 * when there is no such folder.
 *
 * Errors: ERR_CONFLICT while the keeper lives, ERR_TIMEOUT.
 */
#define LEFTOVER_TIMEOUT_S 60
int leftover_clean(const struct options *options, int number, struct error *err);

#endif
