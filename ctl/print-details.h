/** All that is known of sessions, for people: a paragraph for each. */
#ifndef CTL_PRINT_DETAILS_H
#define CTL_PRINT_DETAILS_H

#include <jansson.h>

#include "common/buf.h"
#include "common/error.h"

/** Append the sessions of @answer, an answer to DescribeSessions. */
int print_details(const json_t *answer, struct buf *out, struct error *err);

#endif
