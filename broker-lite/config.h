/** The broker's settings: the properties file as a struct. */
#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H

#include <stdbool.h>

#include "common/error.h"
#include "common/log-file.h"

#define BROKER_CONFIG_PATH "/etc/dcv-session-manager-broker/session-manager-broker.properties"

struct broker_config {
#define STRING(key, field, default_value, check, help) char *field;
#define INTEGER(key, field, default_value, min, max, help) long long field;
#define BOOLEAN(key, field, default_value, help) bool field;
#include "broker-lite/settings.def"
#undef STRING
#undef INTEGER
#undef BOOLEAN
};

/**
 * Read @path; NULL means the usual place, where the file may be missing. The file holds secrets: it
 * is refused when anybody but root and ourselves may write it, or everybody may read it
 * (ERR_CONFIG, naming the bit). End with broker_config_done(), also after a failure.
 */
int broker_config_load(struct broker_config *config, const char *path, struct error *err);
void broker_config_done(struct broker_config *config);

/** Of broker.log and audit.log. */
struct log_rotation broker_config_log_rotation(const struct broker_config *config);

#endif
