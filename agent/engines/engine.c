#include "agent/engines/engine.h"

#include <stdlib.h>

void engine_status_done(struct engine_status *status)
{
	free(status->version);
	json_decref(status->endpoints);
	free(status->trouble);
	*status = (struct engine_status){0};
}
