/**
 * What a desktop needs of its owner's folders, tried as the owner before anything is started: a home
 * that is there (one that a network or automounter brings is waited for), that can be entered and
 * written, and room in it and in /tmp. Each trouble has a sentence of its own, for a desktop without
 * them ends with none.
 */
#ifndef AGENT_KEEPER_PREFLIGHT_H
#define AGENT_KEEPER_PREFLIGHT_H

#include "agent/account.h"
#include "common/error.h"

/**
 * After the PAM session is open: a module may make or mount the home folder. Blocks, for
 * @patience_ms while there is none, and as long again for folders that do not answer.
 */
int preflight(const struct account *owner, int patience_ms, struct error *err);

#endif
