/**
 * The shapes that objects of the API have: what agents report is copied through these, so that no
 * answer has a field, or a type, that the API does not know. Source: the API reference, "Data
 * types".
 */
#ifndef BROKER_SHAPE_H
#define BROKER_SHAPE_H

#include <jansson.h>

struct shape;

extern const struct shape shape_server;            /* of DescribeServers */
extern const struct shape shape_server_of_session; /* the "Server" member of a session */
extern const struct shape shape_session;           /* without "Server" */

/** What @object has of @shape, in the shape's order; lists that are missing are empty. NULL without
 * memory. */
json_t *shape_copy(const struct shape *shape, json_t *object);

#endif
