/**
 * The settings of an agent host, from agent.conf. The agent and the keepers of its sessions read
 * the same file, which only root can write; so a limit holds even against an agent that has been
 * taken over. The names, types, defaults and meanings are in agent/settings.def.
 */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include <stdbool.h>
#include <stdio.h>

#include "common/error.h"
#include "common/settings.h"

#define AGENT_CONFIG_PATH "/etc/dcv-session-manager-agent/agent.conf"

/** Settings as fields: [agent] keys plainly, those of other tables with the table's name before. */
struct agent_config {
#define STRING(table, key, field, default_value, check, help) char *field;
#define INTEGER(table, key, field, default_value, min, max, help) long long field;
#define MINUTES(table, key, field, default_value, min, max, help) long long field;
#define BOOLEAN(table, key, field, default_value, help) bool field;
#define LIST(table, key, field, default_value, check, help) char *field;
#include "agent/settings.def"
};

/**
 * Read @path. Unknown keys are logged as warnings; a wrong value is an error that names file, line,
 * key and what was expected (ERR_CONFIG). End with agent_config_done(), also after a failure.
 */
int agent_config_load(struct agent_config *config, const char *path, struct error *err);
void agent_config_done(struct agent_config *config);

/** Print what there is to set. */
void agent_config_print(enum settings_form form, FILE *file);

#endif
