#include "broker-lite/config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/settings.h"

static const struct setting settings[] = {
#define STRING(key_, field_, default_, check_, help_)                                              \
	{.table = "",                                                                              \
	 .key = key_,                                                                              \
	 .type = SETTING_STRING,                                                                   \
	 .offset = offsetof(struct broker_config, field_),                                         \
	 .default_text = default_,                                                                 \
	 .check = check_,                                                                          \
	 .help = help_},
#define INTEGER(key_, field_, default_, min_, max_, help_)                                         \
	{.table = "",                                                                              \
	 .key = key_,                                                                              \
	 .type = SETTING_INTEGER,                                                                  \
	 .offset = offsetof(struct broker_config, field_),                                         \
	 .default_number = default_,                                                               \
	 .min = min_,                                                                              \
	 .max = max_,                                                                              \
	 .help = help_},
#define BOOLEAN(key_, field_, default_, help_)                                                     \
	{.table = "",                                                                              \
	 .key = key_,                                                                              \
	 .type = SETTING_BOOLEAN,                                                                  \
	 .offset = offsetof(struct broker_config, field_),                                         \
	 .default_number = default_,                                                               \
	 .help = help_},
#include "broker-lite/settings.def"
};

static int check_access(const char *path, struct error *err)
{
	static const struct {
		mode_t bit;
		const char *what;
	} forbidden[] = {
		{S_IWGRP, "its group may write it"},
		{S_IWOTH, "everybody may write it"},
		{S_IROTH, "everybody may read it"},
	};
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(err, "%s", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return error_set(err, ERR_CONFIG, "%s: it belongs to user %u, not to root", path,
				 st.st_uid);
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		if (st.st_mode & forbidden[i].bit)
			return error_set(err, ERR_CONFIG, "%s: %s (mode %04o)", path,
					 forbidden[i].what, st.st_mode & 07777);
	}
	return 0;
}

int broker_config_load(struct broker_config *config, const char *path, struct error *err)
{
	if (!path && (access(BROKER_CONFIG_PATH, F_OK) == 0 || errno != ENOENT))
		path = BROKER_CONFIG_PATH;
	if (path && check_access(path, err) < 0)
		return -1;
	if (settings_load(settings, ARRAY_SIZE(settings), config, path, CONFIG_PROPERTIES, err) < 0)
		return -1;
	if (config->deleted_visible_hours >= 0)
		log_warning("delete-session-duration-hours is deprecated, use "
			    "delete-session-duration-seconds");
	if (config->deleted_visible_s < 0)
		config->deleted_visible_s = config->deleted_visible_hours >= 0
						    ? config->deleted_visible_hours * 3600
						    : 3600;
	return 0;
}

void broker_config_done(struct broker_config *config)
{
	settings_done(settings, ARRAY_SIZE(settings), config);
}

struct log_rotation broker_config_log_rotation(const struct broker_config *config)
{
	return (struct log_rotation){
		.is_hourly = strcmp(config->log_rotation, "hourly") == 0,
		.max_bytes = (unsigned long long)config->log_max_bytes,
		.n_kept = (unsigned)config->log_kept,
	};
}
