/** What agents tell about their hosts, on every change and from time to time. */
#ifndef BROKER_REPORT_H
#define BROKER_REPORT_H

#include "broker-lite/fleet.h"

/**
 * Take over the report of @agent; @body is one JSON object, as in common/link-protocol.h.
 * ERR_INVALID, ERR_CONFLICT, ERR_TOO_LARGE: the link is to go.
 */
int report_apply(struct fleet *fleet, struct agent *agent, const char *body, size_t len,
		 struct error *err);

#endif
