/**
 * Tells Connection Gateways where sessions are. Source: the administrator reference, "Connection
 * Gateway".
 */
#ifndef BROKER_RESOLVER_H
#define BROKER_RESOLVER_H

#include "broker-lite/dns-mappings.h"
#include "broker-lite/session-list.h"
#include "common/http-server.h"

struct resolver {
	const struct session_list *sessions;
	const struct dns_mappings *mappings;
};

/** Answer the question of a gateway: all of it is in the query. */
void resolver_serve(const struct resolver *resolver, struct http_request *request);

#endif
