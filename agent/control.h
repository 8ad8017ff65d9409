/**
 * The local way in: the API over HTTP/1.1 on a Unix socket that every local user may connect to.
 * Who a caller is tells the kernel (SO_PEERCRED).
 */
#ifndef AGENT_CONTROL_H
#define AGENT_CONTROL_H

#include "agent/agent.h"
#include "common/http-server.h"

/** Listen on @path. The result is freed by control_free(), after the loop has stopped. */
struct control *control_new(struct agent *agent, const char *path, struct error *err);
void control_free(struct control *control);

#endif
