/** What the agent of this host tells of its idle sessions, for people. */
#ifndef CTL_PRINT_IDLE_H
#define CTL_PRINT_IDLE_H

#include <jansson.h>

#include "common/buf.h"
#include "common/error.h"

/** Append a table of the sessions in @answer, the agent's to DescribeSessions. */
int print_idle(const json_t *answer, struct buf *out, struct error *err);

#endif
