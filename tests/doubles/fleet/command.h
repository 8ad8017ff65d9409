/** The commands of the control socket; control.h has the list. */
#ifndef FLEET_COMMAND_H
#define FLEET_COMMAND_H

#include <jansson.h>

#include "tests/doubles/fleet/fleet.h"

/** *ret, the answer, is the caller's. ERR_INVALID, ERR_NOT_FOUND: nothing was changed. */
int command_run(struct fleet *fleet, const json_t *command, json_t **ret, struct error *err);

#endif
