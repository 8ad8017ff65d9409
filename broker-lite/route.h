/** What is served on which port. */
#ifndef BROKER_ROUTE_H
#define BROKER_ROUTE_H

#include "common/http-server.h"
#include "common/operations.h"

#define CLIENT_BODY_MAX_BYTES (4 * 1024 * 1024)
#define AGENT_BODY_MAX_BYTES (64 * 1024)
#define GATEWAY_BODY_MAX_BYTES (16 * 1024)

/** A request on the port for API clients; @userdata is the broker. */
void route_client(struct http_request *request, void *userdata);

/** A request on the port for agents and DCV servers. */
void route_agent(struct http_request *request, void *userdata);

/** A request on the port for Connection Gateways. */
void route_gateway(struct http_request *request, void *userdata);

/** Requests on these ports were answered: they are counted and logged. */
void route_client_replied(const struct http_request *request, int status, const struct buf *body,
			  void *userdata);
void route_agent_replied(const struct http_request *request, int status, const struct buf *body,
			 void *userdata);
void route_gateway_replied(const struct http_request *request, int status, const struct buf *body,
			   void *userdata);

/** For struct api: who makes this request, and may they? The client is released when it is over. */
void *route_admit(struct http_request *request, const struct operation *op,
		  const struct http_header **ret_headers, void *userdata, struct error *err);
void route_release(void *caller);

/** A call about which route_admit() could not tell: it can now. */
void route_resume(struct http_request *request, void *userdata);

#endif
