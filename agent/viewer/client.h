/**
 * A browser on its WebSocket: at first it shows a token, in text; then it is bridged to the session's X
 * server, in binary messages, through the filter of rfb.h. Text goes on beside that: who else is there,
 * what is allowed, how long an answer takes.
 *
 * From the browser, JSON: {"token", "session"} first, then {"ping": number}.
 * To the browser: {"event": "admitted", "user", "owner", "console", "features": [names], "files": key},
 *                 the latter if the session has files, see file-address.h;
 *                 {"event": "features", "features"},
 *                 {"event": "people", "people": [{"user", "owner", "you"}]},
 *                 {"event": "pong", "ping": number}
 * It is closed with 4000 + the HTTP status of a refusal, or one of enum client_close.
 */
#ifndef AGENT_VIEWER_CLIENT_H
#define AGENT_VIEWER_CLIENT_H

#include "agent/refusals.h"
#include "agent/viewer/share.h"
#include "agent/viewer/vouch.h"
#include "common/list.h"
#include "common/ws.h"

#define CLIENT_PROTOCOL "dcv-session-viewer.1"
#define CLIENT_ADMISSION_MS 15000 /* to show a token, and to have it judged */
#define CLIENT_CLOSE_REFUSED 4000 /* and the status */

enum client_close {
	CLIENT_CLOSE_BROKEN = 4900, /* it has sent what makes no sense */
	CLIENT_CLOSE_SERVER = 4901, /* the X server has gone, or sends what makes no sense */
	CLIENT_CLOSE_PUT_OUT = 4910 /* and the number of enum viewer_end */
};

/** What all of them need. The handler's userdata. */
struct client_host {
	struct loop *loop;
	struct vouch *vouch;
	struct list rooms; /* struct room::link */
	struct shares shares;
	struct refusals *refusals;
	struct buf out; /* to browsers; used within one callback only */
};

/** For the WebSocket server; the path is to be set. */
struct ws_handler client_handler(const char *path);

#endif
