#include "agent/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/idle-exempt.h"
#include "common/cleanup.h"
#include "common/number.h"
#include "common/settings.h"

static const struct setting settings[] = {
#define STRING(table_, key_, field_, default_, check_, help_)                                      \
	{.table = table_,                                                                          \
	 .key = key_,                                                                              \
	 .type = SETTING_STRING,                                                                   \
	 .offset = offsetof(struct agent_config, field_),                                          \
	 .default_text = default_,                                                                 \
	 .check = check_,                                                                          \
	 .help = help_},
#define INTEGER(table_, key_, field_, default_, min_, max_, help_)                                 \
	{.table = table_,                                                                          \
	 .key = key_,                                                                              \
	 .type = SETTING_INTEGER,                                                                  \
	 .offset = offsetof(struct agent_config, field_),                                          \
	 .default_number = default_,                                                               \
	 .min = min_,                                                                              \
	 .max = max_,                                                                              \
	 .help = help_},
#define MINUTES(table_, key_, field_, default_, min_, max_, help_)                                 \
	{.table = table_,                                                                          \
	 .key = key_,                                                                              \
	 .type = SETTING_MINUTES,                                                                  \
	 .offset = offsetof(struct agent_config, field_),                                          \
	 .default_number = default_,                                                               \
	 .min = min_,                                                                              \
	 .max = max_,                                                                              \
	 .help = help_},
#define BOOLEAN(table_, key_, field_, default_, help_)                                             \
	{.table = table_,                                                                          \
	 .key = key_,                                                                              \
	 .type = SETTING_BOOLEAN,                                                                  \
	 .offset = offsetof(struct agent_config, field_),                                          \
	 .default_number = default_,                                                               \
	 .help = help_},
#define FOREIGN(table_, key_, min_, max_, why_)                                                    \
	{.table = table_,                                                                          \
	 .key = key_,                                                                              \
	 .type = SETTING_FOREIGN,                                                                  \
	 .min = min_,                                                                              \
	 .max = max_,                                                                              \
	 .help = why_},
#define ALIAS(table_, other_, key_)                                                                \
	{.table = table_, .key = other_, .type = SETTING_ALIAS, .help = key_},
#define SECTION(title_) {.type = SETTING_SECTION, .help = title_},
#define SHIPPED(value_) {.type = SETTING_SHIPPED, .default_text = value_},
#define LIST(table_, key_, field_, default_, check_, help_)                                        \
	{.table = table_,                                                                          \
	 .key = key_,                                                                              \
	 .type = SETTING_LIST,                                                                     \
	 .offset = offsetof(struct agent_config, field_),                                          \
	 .default_text = default_,                                                                 \
	 .check = check_,                                                                          \
	 .help = help_},
#include "agent/settings.def"
};

void agent_config_print(enum settings_form form, FILE *file)
{
	settings_print(settings, ARRAY_SIZE(settings), CONFIG_TOML, form, file);
}

/* The first uid that the host's own tools would give to a person. */
static long long uid_min(void)
{
	AUTO(fclose_p) FILE *file = fopen("/etc/login.defs", "re");
	char line[256];
	long long value = 1000;

	while (file && fgets(line, sizeof(line), file)) {
		char text[32];

		if (sscanf(line, " UID_MIN %31s", text) == 1)
			(void)number_parse(text, 1, 4294967294LL, &value);
	}
	return value;
}

static int check_geometry(const char *geometry, struct error *err)
{
	int n = 0;
	unsigned width, height;

	if (sscanf(geometry, "%5ux%5u%n", &width, &height, &n) != 2 || geometry[n] || width < 1 ||
	    width > 32767 || height < 1 || height > 32767)
		return error_set(err, ERR_CONFIG,
				 "agent.geometry: expected WIDTHxHEIGHT in pixels, got '%.40s'",
				 geometry);
	return 0;
}

static int check_values(const struct agent_config *config, struct error *err)
{
	if (check_geometry(config->geometry, err) < 0)
		return -1;
	if (config->max_sessions_per_user == 0)
		return error_set(err, ERR_CONFIG,
				 "agent.max_concurrent_sessions_per_user: expected -1 or an "
				 "integer from 1, got '0'");
	return idle_exempt_check(config->idle_exempt, err);
}

int agent_config_load(struct agent_config *config, const char *path, struct error *err)
{
	if (settings_load(settings, ARRAY_SIZE(settings), config, path, CONFIG_TOML, err) < 0)
		return -1;
	if (!config->version)
		return error_set(err, ERR_CONFIG, "%s: missing field: version = '0.1'", path);
	if (check_values(config, err) < 0)
		return error_prefix(err, "%s", path);
	if (config->minimum_uid < 0)
		config->minimum_uid = uid_min();
	return 0;
}

void agent_config_done(struct agent_config *config)
{
	settings_done(settings, ARRAY_SIZE(settings), config);
}
