/** Folders whose contents are run for other people must not be changed by other people. */
#ifndef AGENT_TRUST_H
#define AGENT_TRUST_H

#include <sys/types.h>

#include "common/error.h"

/**
 * Check that nobody but root and @uid can change what @path, an absolute one, leads to: neither the
 * folder nor a parent. A sticky folder such as /tmp is trusted for what root or @uid own in it.
 * ERR_DENIED names the folder that is wrong; a path that does not exist yet is fine so far as it
 * goes.
 */
int trust_check_path(const char *path, uid_t uid, struct error *err);

#endif
