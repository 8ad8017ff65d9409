/** Waiting for a session to come up. The API tells of nothing by itself, so it is asked again. */
#ifndef CTL_WAIT_H
#define CTL_WAIT_H

#include "ctl/service.h"

/**
 * Ask for session @id until it is READY. STATUS_REFUSED: it ended instead, or is not known any
 * more, and @err has the reason; STATUS_OTHER: it is neither after @timeout_s, or cannot be asked
 * for.
 */
enum exit_status wait_for_session(struct service *service, const char *id, long long timeout_s,
				  struct error *err);

#endif
