/**
 * The line of a request in the log: what was asked, by whom, with what result and how long it took.
 *
 *     CreateSessions answered (request=…, client=…, result=200, failed=1 of 3, ms=4.120)
 *     request refused: No authorization header (operation=…, peer=…, result=401, ms=0.081)
 *
 * Changes, whatever lets somebody in, and refusals are told at info; what went wrong here (5xx) at
 * warning. A read that succeeded is told at debug: reads are nearly all of the traffic and change
 * nothing. So are permissions that were set, which are only relayed and are in audit.log: a line adds
 * a tenth to the cost of such a request, and at a level that is off no more than a comparison. So is
 * what is throttled: whoever floods the broker is not to flood its log. How many there were is in the
 * metrics. For the same reason no more refusals of strangers are told than log-limit.h lets pass.
 */
#ifndef COMMON_REQUEST_LOG_H
#define COMMON_REQUEST_LOG_H

#include "common/http-server.h"
#include "common/log-limit.h"

/** For http_server_options::replied. @client: who called; NULL: nobody was admitted. */
void request_log(const struct http_request *request, int status, const char *client,
		 struct log_limit *strangers);

#endif
