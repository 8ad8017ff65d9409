/**
 * The command "join": this host enrols itself at a broker with a token of its administrator.
 *
 * The token pins the broker's authority. It is fetched, compared, and from then on the only one that
 * is trusted; the secret of the token is shown to no other server. Nothing is written before the
 * host has registered and linked with what it got; then the authority, the statement, the
 * credentials and agent.conf are replaced together. Source: link-protocol.h.
 */
#ifndef AGENT_JOIN_H
#define AGENT_JOIN_H

#include "common/error.h"

struct join_options {
	const char *url;   /* of the broker's port for agents; the port may be left out */
	const char *token; /* as create-join-token printed it */
	const char *conf, *state_folder;
};

/** Do it, and tell on standard output what was done. Errors are sentences for the administrator. */
int join_broker(const struct join_options *options, struct error *err);

#endif
