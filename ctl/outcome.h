/** How the program tells what came of it: results on standard output, one sentence of an error. */
#ifndef CTL_OUTCOME_H
#define CTL_OUTCOME_H

#include <stddef.h>

#include "common/error.h"
#include "ctl/exit-status.h"

/** The one place that tells of an error; returns @status. */
enum exit_status fail(const struct error *err, enum exit_status status);

/** Print on standard output, now. */
enum exit_status write_out(const char *bytes, size_t len);

#endif
