/**
 * The agent as a client of its broker: software statement, client id and secret, access token.
 * Source: RFC 7591, RFC 6749 section 4.4; link-protocol.h.
 */
#ifndef AGENT_REGISTRATION_H
#define AGENT_REGISTRATION_H

#include "agent/config.h"
#include "common/http-client.h"

struct registration;

/** Credentials are kept in STATE_DIR/credentials.json, readable for us alone. */
struct registration *registration_new(const struct agent_config *config, struct http_client *client,
				      const char *state_folder, const char *client_name,
				      struct error *err);
void registration_free(struct registration *registration);

/** @token: borrowed, or NULL with @err. */
typedef void (*registration_fn)(const char *token, const struct error *err, void *userdata);

/**
 * Get an access token, registering first where that has not been done. @fn is called once, perhaps
 * before this returns. One request at a time.
 */
void registration_get_token(struct registration *registration, registration_fn fn, void *userdata);

/**
 * The broker refused the token. The first time after a success a new token is tried, the second
 * time a new registration.
 */
void registration_refused(struct registration *registration);

/** The broker took the token. */
void registration_accepted(struct registration *registration);

#endif
