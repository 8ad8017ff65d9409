/** The WebSocket of a server, over a stream whose HTTP part is over. For http-server.c. RFC 6455. */
#ifndef COMMON_WS_SERVER_H
#define COMMON_WS_SERVER_H

#include "common/http-head.h"
#include "common/stream.h"
#include "common/ws.h"

/** The value of Sec-WebSocket-Accept for a key: 28 characters and a NUL. */
void ws_server_accept_key(const char *key, char ret[29]);

/**
 * The stream is a WebSocket from now on, and belongs to it. @bytes: what came behind the head.
 * @authorization: the header of the upgrade, or "". -1: out of memory.
 */
int ws_server_start(struct loop *loop, struct stream *stream, const struct ws_role *role,
		    const char *authorization, const char *bytes, size_t len, struct error *err);

#endif
