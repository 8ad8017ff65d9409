/**
 * Where the service is and what it takes to talk to it: from the options, the environment and the
 * configuration file, in this order. Source: the CLI reference, sections 2 to 4.
 */
#ifndef CTL_CONFIG_H
#define CTL_CONFIG_H

#include <stdbool.h>

#include "common/error.h"
#include "ctl/option.h"

#define AGENT_SOCKET "/run/dcv-session-manager-agent/agent.sock"

/** Start with {0}, end with config_done(). Texts are owned, NULL when not given. */
struct config {
	char *socket; /* of the local agent; NULL: a broker is asked */
	char *broker_url;
	char *auth_server_url;
	char *client_id, *client_password; /* never printed */
	char *token;                       /* never printed */
	char *ca_bundle;
	char *output_format;
	bool no_verify_ssl;
	bool debug;
	bool no_authorization; /* the broker asks for none, send none */
	long long timeout_s;   /* of a whole request */
};

/** Options that stand before the command. */
extern const struct option_table general_options;

/** Do these options mean the agent of this host? */
bool config_is_local(const struct arguments *general, enum program program);

/**
 * Read the configuration file that the options name, or else the first of the usual ones that
 * exists; none is fine. Errors name file and line.
 */
int config_read_file(struct config *config, const struct arguments *general, enum program program,
		     struct error *err);

/** Put environment and options over what the file said, and refuse what is missing: ERR_CONFIG. */
int config_complete(struct config *config, const struct arguments *general, enum program program,
		    struct error *err);

void config_done(struct config *config);

#endif
