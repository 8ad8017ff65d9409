/** The pictures that simulated screens show. */
#ifndef FLEET_PICTURE_H
#define FLEET_PICTURE_H

#include <jansson.h>

#include "common/error.h"

#define PICTURE_MAX_BYTES (8UL * 1024 * 1024)

/**
 * A PNG or JPEG file as {"Format","Data"}, Data in base64. NULL on failure; errors name the path.
 */
json_t *picture_read(const char *path, struct error *err);

/** The same of a small PNG made here. */
json_t *picture_make(struct error *err);

#endif
