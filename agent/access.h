/**
 * What a user may do in a session, by its permission file and the groups that they are in now.
 * Groups are looked up off the loop: a directory may take its time.
 */
#ifndef AGENT_ACCESS_H
#define AGENT_ACCESS_H

#include <stdint.h>

#include "agent/session-list.h"
#include "common/loop.h"

/** @features: FEATURE_BIT() each, by the permissions that hold at this moment; 0: the session is gone. */
typedef void (*access_fn)(uint32_t features, void *userdata);

/** Ask; @fn is called later, once, unless the loop stops before. */
int access_ask(struct loop *loop, const struct session_list *sessions, const char *session_id,
	       const char *user, access_fn fn, void *userdata, struct error *err);

#endif
