/** The API as seen by a client: a request in, an answer as JSON out, tokens as needed. */
#ifndef CTL_SERVICE_H
#define CTL_SERVICE_H

#include <jansson.h>

#include "common/buf.h"
#include "common/error.h"
#include "ctl/client.h"
#include "ctl/config.h"
#include "ctl/exit-status.h"

struct service;

/** @config is borrowed. */
int service_new(const struct config *config, struct service **ret, struct error *err);
void service_free(struct service *service);
static inline void service_free_p(struct service **service)
{
	service_free(*service);
}

/**
 * Carry out one request. On STATUS_SUCCESS *ret_answer is the answer's object and @ret_response its
 * bytes as they came, both the caller's. Otherwise @err tells why: STATUS_REFUSED when the service
 * answered with an error, STATUS_OTHER when no usable answer came, STATUS_SETTINGS.
 */
enum exit_status service_call(struct service *service, const char *method, const char *path,
			      const struct buf *body, struct client_response *ret_response,
			      json_t **ret_answer, struct error *err);

#endif
