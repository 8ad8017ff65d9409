/**
 * New clients: an id and a secret are made, the secret is hashed, the client is stored, and only
 * then told. Source: RFC 7591 for agents.
 */
#ifndef BROKER_REGISTRATION_H
#define BROKER_REGISTRATION_H

#include "broker-lite/client-list.h"
#include "broker-lite/password.h"
#include "broker-lite/statement-list.h"
#include "common/http-server.h"
#include "common/log-limit.h"

struct registry {
	struct client_list *clients;
	struct statement_list *statements;
	struct password_queue *passwords;
	struct log_limit refusals; /* of agents */
};

/** @client is NULL if @err tells why there is none. @secret is shown this once. */
typedef void (*registered_fn)(const struct client *client, const char *secret,
			      const struct error *err, void *userdata);

/** ERR_CONFLICT: the name of an API client is taken. @fn is called once if this returns 0. */
int registry_add(struct registry *registry, enum client_kind kind, const char *name,
		 registered_fn fn, void *userdata, struct error *err);

/** Answer an agent's request to be registered. */
void registry_serve_agent(struct registry *registry, struct http_request *request);

#endif
