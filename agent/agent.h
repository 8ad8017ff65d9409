/**
 * The agent: its parts, and what happens between them. The operations (operation.c) work on it; the
 * local socket (control.c) and the broker link (link.c) are its two ways in.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>

#include "agent/config.h"
#include "agent/engines/engine.h"
#include "agent/idle.h"
#include "agent/metrics.h"
#include "agent/server.h"
#include "agent/session-list.h"
#include "agent/session-log.h"
#include "agent/token.h"
#include "agent/viewer-certificate.h"
#include "common/loop.h"

struct guests;
struct link;

struct agent {
	struct loop *loop;
	const struct agent_config *config;
	struct session_list sessions;
	struct server server;
	struct engine *engine;
	struct token_key token_key;
	struct session_log_desk log_desk;
	struct guests *guests; /* NULL: nobody can be connected by the web viewer */
	struct link *link;     /* NULL: there is no broker */
	struct viewer_certificate viewer_certificate;
	struct idle *idle;
	long long clock_skew_ms; /* by how much our clock was before the broker's at linking */
	bool has_clock_skew;
	long long broker_certificate_end_s; /* since 1970, as it was last seen; 0: not seen */
	bool is_linked;
	struct error link_trouble; /* why it is not; ERR_NONE: it was not tried yet */
	struct metrics metrics;
	bool is_new_boot; /* the host was started since an agent ran here */
	bool is_ready;    /* the sessions that were there before us are known */
	void (*on_ready)(void *userdata);
	void (*on_change)(void *userdata); /* what a report would say has changed */
	void *userdata;
};

struct agent_options {
	const char *state_folder; /* exists, ours alone */
	const char *keeper_socket, *keeper_run_dir, *keeper_log_dir;
	const char *handover_folder, *session_init; /* see struct dcv_options */
	void (*on_ready)(void *userdata);
	void (*on_change)(void *userdata);
	void *userdata;
};

/** Build the parts. Strings and @config are borrowed. End with agent_done(), also on failure. */
int agent_init(struct agent *agent, struct loop *loop, const struct agent_config *config,
	       const struct agent_options *options, struct error *err);
void agent_done(struct agent *agent);

/** Look for sessions that are there already; on_ready() follows. */
int agent_start(struct agent *agent, struct error *err);

/** Begin a session: takes @session in every case. It is in the list after success only. */
int agent_create_session(struct agent *agent, struct session *session, struct error *err);

/** End a session, or say so again. ERR_CONFLICT when it has ended. */
int agent_end_session(struct agent *agent, struct session *session, const char *reason,
		      struct error *err);

#endif
