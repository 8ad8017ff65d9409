/**
 * Who asks: a process at the local socket, or the broker. A handler never asks which wire a request
 * came by; it asks what its caller may.
 */
#ifndef AGENT_CALLER_H
#define AGENT_CALLER_H

#include <stdbool.h>

#include "agent/session.h"
#include "common/error.h"
#include "common/http-server.h"
#include "common/operations.h"

struct caller {
	char *name; /* of the user; "broker" for the broker */
	bool is_admin;
	bool is_root; /* or whoever the agent is */
	bool is_broker;
};

/**
 * The process that made @request. Root, our own uid and the members of @admin_group, supplementary
 * ones too, are administrators. ERR_DENIED for a uid without a name. May block in name services,
 * but not for root.
 */
struct caller *caller_from_peer(const struct http_request *request, const char *admin_group,
				struct error *err);
void caller_free(struct caller *caller);

/** ERR_DENIED with a sentence, unless @caller may call @op at all. */
int caller_check(const struct caller *caller, const struct operation *op, struct error *err);

/** May the caller read what only the owner of @session and root may? */
bool caller_may_read(const struct caller *caller, const struct session *session);

/** May the caller see and touch what belongs to @owner? */
bool caller_owns(const struct caller *caller, const char *owner);
bool caller_owns_session(const struct caller *caller, const struct session *session);

#endif
