/**
 * The certificate that the viewer shows: the administrator's, or one of its own that signs itself, which
 * is kept in its state folder and replaced before it ends.
 */
#ifndef AGENT_VIEWER_IDENTITY_H
#define AGENT_VIEWER_IDENTITY_H

#include "agent/config.h"
#include "common/tls.h"

/** Show in @tls what there is; it stays if nothing better can be had. Often enough: once a day. */
int identity_show(struct tls_server *tls, const struct agent_config *config,
		  const char *state_folder, struct error *err);

#endif
