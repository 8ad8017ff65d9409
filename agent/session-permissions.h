/**
 * The permission file of a session: the one that was sent, else the host's default file, else that
 * owners may do all.
 *
 * It is read when it comes, so that a broken one is refused with its reason, and again from the
 * record when the agent starts. Source: the permissions reference, sections 1, 3 and 7.
 */
#ifndef AGENT_SESSION_PERMISSIONS_H
#define AGENT_SESSION_PERMISSIONS_H

#include "agent/config.h"
#include "agent/session.h"
#include "common/loop.h"
#include "common/permissions.h"

/**
 * Read the field PermissionsFile of session @id, NULL for none. The sentence of a failure is one
 * for the session's StateReason, "Invalid permissions file, line 3: ..."; all errors are logged. A
 * default file that is wrong is the host's fault and not the request's.
 */
int session_permissions_read(const char *id, const char *base64, const struct agent_config *config,
			     struct permissions **ret, struct error *err);

/**
 * Give a session that was there before us its rights again. If that fails, which an import that has
 * changed can bring about, nobody may do anything until the permissions are updated; the log tells.
 */
void session_permissions_restore(struct session *session, const struct agent_config *config);

/**
 * Log a warning for every group of the operating system that the rights speak of and that is not
 * there. Nobody waits for this: a directory may take its time.
 */
void session_permissions_warn(const struct session *session, struct loop *loop);

/**
 * The file as another program may read it, from wherever it lies: imports have absolute paths.
 * @base64: one that session_permissions_read() has accepted. Appends to @ret.
 */
int session_permissions_hand_over(const char *base64, const struct agent_config *config,
				  struct buf *ret, struct error *err);

#endif
