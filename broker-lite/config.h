/** The broker's settings: the properties file as a struct. */
#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H

#include <stdbool.h>

#include "common/error.h"
#include "common/log-file.h"
#include "common/settings.h"

#define BROKER_CONFIG_PATH "/etc/dcv-session-manager-broker/session-manager-broker.properties"

struct broker_config {
#define STRING(key, field, default_value, check, help) char *field;
#define INTEGER(key, field, default_value, min, max, help) long long field;
#define BOOLEAN(key, field, default_value, help) bool field;
#include "broker-lite/settings.def"
};

/**
 * Read @path; NULL means the usual place, where the file may be missing. The file holds secrets: it
 * is refused when others than root may write it, or others than we may read it (ERR_CONFIG, naming
 * the bit), and so is what cannot be done (a database that there is no driver for). End with broker_config_done(), also after a failure.
 */
int broker_config_load(struct broker_config *config, const char *path, struct error *err);
/** Print what there is to set. */
void broker_config_print(enum settings_form form, FILE *file);

void broker_config_done(struct broker_config *config);

/** Of broker.log and audit.log. */
struct log_rotation broker_config_log_rotation(const struct broker_config *config);

#endif
