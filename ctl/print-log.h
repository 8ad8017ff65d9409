/** The story of a session, as the agent of this host tells it, for people. */
#ifndef CTL_PRINT_LOG_H
#define CTL_PRINT_LOG_H

#include <jansson.h>

#include "common/buf.h"
#include "common/error.h"

/** Append a line "TIME SOURCE: text" for each of @answer, with nothing in it that acts on a terminal. */
int print_log(const json_t *answer, struct buf *out, struct error *err);

#endif
