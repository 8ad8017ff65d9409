/** The WebSocket of a client: its callbacks of libwebsockets. For http-client.c. */
#ifndef COMMON_WS_CLIENT_H
#define COMMON_WS_CLIENT_H

#include "common/ws.h"

/** A connection stands: make its ws, with @user, in @session. The vhost's user is a ws_role. */
int ws_client_open(struct lws *wsi, struct ws **session, void *user);
int ws_client_callback(struct lws *wsi, enum lws_callback_reasons reason, void *session, void *in,
		       size_t len);

#define WS_CLIENT_SESSION_BYTES sizeof(struct ws *)
extern const lws_retry_bo_t ws_client_idle_policy;

#endif
