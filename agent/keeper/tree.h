/** Removing a folder that belonged to somebody who may not wish us well. */
#ifndef AGENT_KEEPER_TREE_H
#define AGENT_KEEPER_TREE_H

#include "common/error.h"

/**
 * Remove @path with all that is in it. No link is followed. However deep the folders in it are
 * nested, no more than two are open: what lies deeper is moved up first. @path's parent must be
 * ours. Success if it is not there.
 */
int tree_remove(const char *path, struct error *err);

#endif
