/**
 * The Requirements language: a boolean expression over the tags and properties of one server,
 * parsed once into a small program. Source: the API reference, "The Requirements language".
 */
#ifndef BROKER_REQUIREMENTS_H
#define BROKER_REQUIREMENTS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"

struct requirements;

/**
 * Parse @text. *ret is NULL when it is blank: anything will do. ERR_INVALID with "Invalid
 * requirements: " and the spot.
 */
int requirements_parse(const char *text, struct requirements **ret, struct error *err);

/** Takes NULL. */
void requirements_free(struct requirements *requirements);

/** Does @server, an object as of DescribeServers, fulfil them? */
bool requirements_hold(const struct requirements *requirements, const json_t *server);

#endif
