/**
 * The certificate that the viewer shows: the administrator's; or else one that the broker has signed, which
 * is asked for by way of the agent, and again before it ends and when the host's names or the broker's
 * authority are others; and until there is one, a certificate that signs itself. What is shown can change at
 * any moment: connections that stand stay.
 */
#ifndef AGENT_VIEWER_IDENTITY_H
#define AGENT_VIEWER_IDENTITY_H

#include "agent/config.h"
#include "agent/viewer/vouch.h"
#include "common/tls.h"

struct identity;

struct identity_options {
	struct loop *loop; /* everything is borrowed */
	struct tls_server *tls;
	const struct agent_config *config;
	const char *state_folder;
	struct vouch *const *vouch; /* to ask by; it comes to be later */
};

/** Show what there is. */
struct identity *identity_new(const struct identity_options *options, struct error *err);

/** For vouch_new(), with the identity as userdata; NULL: the administrator's files are shown. */
const struct vouch_certificate_events *identity_events(const struct identity *identity);

/** Look at everything again, the administrator's files too; it is done once a day anyway. */
void identity_look(struct identity *identity);

/** When the loop stops, and when it has stopped. Both take NULL. */
void identity_stop(struct identity *identity);
void identity_free(struct identity *identity);

#endif
