/**
 * The control socket: one JSON object per line is a command, and is answered by one line.
 *
 *   {"command":"list"}  or with "server"            {"servers":[{"Id":…,"linked":…,"links":n,
 *                                                     "acknowledged":n,"sessions":[…],
 *                                                     "received":{"CreateSessions":n,…}},…]}
 *   {"command":"behaviour","server":S,"set":{…}}    {"servers":n}, as many as it was done for
 *   {"command":"drop","server":S}                   the link closes, and is made again
 *   {"command":"disconnect","server":S}             the agent goes, and stays away
 *   {"command":"connect","server":S}                it comes back
 *   {"command":"end","session":ID,"reason":R}       a session ends by itself; "reason" and
 *                                                   "server" may be left out
 *   {"command":"add","server":ID,"session":{"Id","Name","Owner","Type"}}  a host-made session
 *
 * S is the Id of a server, or "*" for all. What is wrong is answered {"error":"…"}, and nothing is
 * changed. "linked" is true from the moment when the WebSocket stands.
 */
#ifndef FLEET_CONTROL_H
#define FLEET_CONTROL_H

#include "common/error.h"
#include "tests/doubles/fleet/fleet.h"

#define CONTROL_LINE_MAX_BYTES (1024 * 1024)

struct control;

/** Listen at @path. A socket that a killed program left there is replaced. */
struct control *control_new(struct fleet *fleet, const char *path, struct error *err);

/** Close all; before the loop stops. Takes NULL. */
void control_stop(struct control *control);

/** After the loop has stopped. Takes NULL. */
void control_free(struct control *control);

#endif
