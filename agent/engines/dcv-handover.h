/**
 * Files that the DCV server and the owners of its sessions read: a folder for each session below the
 * hand-over folder, with
 *   permissions  the permission file
 *   init         for a session with an autorun file: a script of constant text that executes
 *                dcv-session-init, which reads
 *   job          what to run, as a message (common/message.h)
 * So nothing that came from a request is ever in a script. The folders cannot be listed by others
 * than the agent, but whoever knows a session's id can read them.
 */
#ifndef AGENT_ENGINES_DCV_HANDOVER_H
#define AGENT_ENGINES_DCV_HANDOVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"

/** The entries of a job: whose programs, what starts the desktop, what runs in it and with what. */
#define DCV_JOB_UID "UID"
#define DCV_JOB_SESSION_ID "SESSION_ID"
#define DCV_JOB_INIT "INIT"
#define DCV_JOB_AUTORUN "AUTORUN"
#define DCV_JOB_ARGUMENT "ARGUMENT"
#define DCV_JOB_MAX_BYTES (1024 * 1024)

/** Make the folder of all sessions. */
int dcv_handover_init(const char *folder, struct error *err);

/** Write the permission file of a session. *ret_path belongs to the caller. */
int dcv_handover_permissions(const char *folder, const char *session_id, const struct buf *text,
			     char **ret_path, struct error *err);

/** Write init script and job. @helper: the path of dcv-session-init. */
int dcv_handover_job(const char *folder, const char *session_id, const char *helper,
		     const struct buf *job, char **ret_path, struct error *err);

/** Remove what was written for a session. */
void dcv_handover_remove(const char *folder, const char *session_id);

/** Remove what was written for sessions that are no more. */
void dcv_handover_sweep(const char *folder,
			bool (*is_known)(const char *session_id, void *userdata), void *userdata);

#endif
