/**
 * The story of a session: who asked for what, what became of it, and what its keeper, PAM and its
 * programs had to say.
 *
 * It comes from two places. What the agent knows is in the session's record: the last
 * SESSION_LOG_LINES_MAX lines, kept as long as the session is known. What the keeper knows is in its
 * own log file (keeper/output.h). Lines of both have the same form, "TIME SOURCE: text", with a time
 * whose text can be compared.
 */
#ifndef AGENT_SESSION_LOG_H
#define AGENT_SESSION_LOG_H

#include "agent/session.h"
#include "common/call.h"
#include "common/loop.h"

#define SESSION_LOG_LINES_MAX 100
#define SESSION_LOG_FILE_MAX_BYTES (4UL * 1024 * 1024) /* of a larger one the end is shown */

/**
 * Tell something of a session. @source: "api", or "agent". It is written down when the session is
 * saved the next time.
 */
void session_log_add(struct session *session, const char *source, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Where logs are read. */
struct session_log_desk {
	const char *folder; /* of the keepers' logs; borrowed */
	struct loop *loop;
	struct list readings; /* under way */
};

/**
 * Answer with the whole story, in the order of time:
 * {"SessionId", "Lines": [{"Time", "Source", "Text"}, ...]}. @reader: one story at a time is read for
 * each, else many would keep the loop's threads from everybody else (ERR_LIMIT). NULL: without a bound.
 */
void session_log_answer(struct session_log_desk *desk, const struct session *session,
			const char *reader, struct answer *answer);

/**
 * Append that object. @own: lines of the agent, with line ends; @path: the keeper's log, which may be
 * missing. Blocks.
 */
int session_log_merge(const char *session_id, const char *own, const char *path, struct buf *ret,
		      struct error *err);

#endif
