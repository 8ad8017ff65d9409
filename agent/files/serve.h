/** The requests of one viewer, each in a thread of its own: files block, and that is well then. */
#ifndef AGENT_FILES_SERVE_H
#define AGENT_FILES_SERVE_H

#include "common/error.h"

/** Until the other end of the control socket is closed. @root: as the session has it. */
int files_serve(int control, const char *root, const char *home, struct error *err);

#endif
