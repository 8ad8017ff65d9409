/**
 * What the viewer answers over HTTP: the page for those whose token is good somewhere, one plain page for
 * the others, and the files that the page consists of.
 *
 *     PATH?authToken=TOKEN    the page, or refused.html with 401, 403, 429 or 503
 *     PATH/view               the page again, for those who load it anew: the token is not in the address
 *                             any more, and the page shows it from its memory
 *     PATH/ws                 the WebSocket
 *     PATH/files/...          files of a session, see file-address.h
 *     PATH/...                those of the page
 *
 * Nothing that is answered tells why a token is not good; the log does.
 */
#ifndef AGENT_VIEWER_DOOR_H
#define AGENT_VIEWER_DOOR_H

#include "agent/viewer/client.h"
#include "agent/viewer/site.h"
#include "agent/viewer/vouch.h"
#include "common/tls.h"

struct door;

struct door_options {
	const char *bind_host;
	int port;
	const char *path;       /* with a slash at both ends */
	struct tls_server *tls; /* borrowed, like everything here */
	const struct site *site;
	struct client_host *host;
};

struct door *door_new(struct loop *loop, const struct door_options *options, struct error *err);

/** After the loop has stopped. Takes NULL. */
void door_free(struct door *door);

#endif
