#include "agent/engines/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool engine_is_dcv(const struct agent_config *config)
{
	if (strcmp(config->engine, "auto") == 0)
		return access(config->dcv_root, X_OK) == 0;
	return strcmp(config->engine, "dcv") == 0;
}

void engine_status_done(struct engine_status *status)
{
	free(status->version);
	json_decref(status->endpoints);
	free(status->trouble);
	*status = (struct engine_status){0};
}
