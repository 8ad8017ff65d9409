/**
 * The way of the web viewer's certificate: requests go from the viewer to the broker, certificates back.
 * The agent looks at neither; it tells the viewer what the host is called and who would sign. Sources:
 * agent/viewer/protocol.h, common/link-protocol.h.
 */
#ifndef AGENT_VIEWER_CERTIFICATE_H
#define AGENT_VIEWER_CERTIFICATE_H

#include "agent/packet-socket.h"
#include "common/message.h"

struct agent;

struct viewer_certificate {
	struct packet_socket
		*viewer;     /* NULL: there is none, or it wants no certificate; borrowed */
	char authority[65];  /* that the broker signs with; "": none is known */
	const char *why_not; /* what there is instead of it; NULL: the link does not stand */
	struct buf told;     /* to the viewer */
};

void viewer_certificate_done(struct viewer_certificate *certificate);

/** @viewer is there; @wants: a certificate, and it may be told of them. Or NULL: it has gone. */
void viewer_certificate_set_viewer(struct agent *agent, struct packet_socket *viewer, bool wants);

/** The broker's hello has named this authority; "": it has none. NULL: it knows nothing of all this. */
void viewer_certificate_set_authority(struct agent *agent, const char *authority);

/** The link is gone. */
void viewer_certificate_unlink(struct agent *agent);

/** The broker has been told what the host is called: tell the viewer, if that is news. */
void viewer_certificate_tell_host(struct agent *agent);

/** The viewer asks for a certificate. */
void viewer_certificate_ask(struct agent *agent, const struct message *message);

/** The broker answers: @certificate as PEM, or NULL and @why not. */
void viewer_certificate_answer(struct agent *agent, const char *certificate, const char *why);

#endif
