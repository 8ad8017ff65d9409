/** HTTP requests to one place, over TLS or a Unix socket. Knows nothing of the API. */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "common/buf.h"
#include "common/error.h"
#include "ctl/config.h"

#define ANSWER_MAX_BYTES (64 * 1024 * 1024)

struct client;

struct client_request {
	const char *method;
	const char *url;
	const char *content_type;    /* NULL: no body */
	const struct buf *body;      /* NULL: an empty one */
	const char *user, *password; /* for Basic authorization, or NULL */
	const char *token;           /* for Bearer authorization, or NULL */
};

struct client_response {
	long status;
	struct buf body;
};

/** @config is borrowed. */
int client_new(const struct config *config, struct client **ret, struct error *err);
void client_free(struct client *client);
static inline void client_free_p(struct client **client)
{
	client_free(*client);
}

/**
 * Ask once, without following redirects; any status is an answer. *ret starts as {0} or with an
 * answer to be replaced. Errors: ERR_UNREACHABLE, ERR_TIMEOUT, ERR_TOO_LARGE, ERR_CONFIG when the
 * CA bundle holds no certificates, ERR_SYSTEM.
 */
int client_ask(struct client *client, const struct client_request *request,
	       struct client_response *ret, struct error *err);
void client_response_done(struct client_response *response);

#endif
