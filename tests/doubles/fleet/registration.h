/** One simulated agent's trust relation with the broker: client id and secret, and its token. */
#ifndef FLEET_REGISTRATION_H
#define FLEET_REGISTRATION_H

#include "common/error.h"
#include "common/http-client.h"

/* The broker, as all agents see it. */
struct broker {
	struct http_client *client;
	const char *host;
	int port;
	const char *statement; /* software statement */
};

/** @token is NULL on failure. */
typedef void (*registration_fn)(const char *token, const struct error *err, void *userdata);

struct registration {
	const struct broker *broker;
	const char *client_name; /* borrowed */
	char *client_id, *client_secret, *token;
	unsigned n_refused; /* since a report was received */
	registration_fn fn;
	void *userdata;
};

void registration_done(struct registration *registration);

/** Call @fn with a token, after registering if need be; perhaps before this returns. */
void registration_get_token(struct registration *registration, registration_fn fn, void *userdata);

/** The broker refused the token: it needs a new one, the second time a new registration. */
void registration_refused(struct registration *registration);
void registration_accepted(struct registration *registration);

#endif
