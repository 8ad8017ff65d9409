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
#define FOREIGN(key_, min_, max_, why_)                                                            \
	{.table = "", .key = key_, .type = SETTING_FOREIGN, .min = min_, .max = max_, .help = why_},
#define SECTION(title_) {.type = SETTING_SECTION, .help = title_},
#define SHIPPED {.type = SETTING_SHIPPED},
#include "broker-lite/settings.def"
};

void broker_config_print(enum settings_form form, FILE *file)
{
	settings_print(settings, ARRAY_SIZE(settings), CONFIG_PROPERTIES, form, file);
}

/* Is @gid one that the broker has by itself? Root, who types commands, has them all. */
static bool is_our_group(gid_t gid)
{
	gid_t groups[64];
	int n = getgroups(ARRAY_SIZE(groups), groups);

	if (geteuid() == 0 || gid == 0 || gid == getegid())
		return true;
	for (int i = 0; i < n; i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

/* The file tells passwords and where the broker's keys are. */
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
	if ((st.st_mode & S_IRGRP) && !is_our_group(st.st_gid))
		return error_set(err, ERR_CONFIG,
				 "%s: group %u may read it, which is not the broker's (mode %04o)",
				 path, st.st_gid, st.st_mode & 07777);
	return 0;
}

static int check_persistence(const struct broker_config *config, struct error *err)
{
	if (!config->enable_persistence)
		return 0;
	return error_set(
		err, ERR_CONFIG,
		"enable-persistence: this broker cannot use an external database%s%s; set it "
		"to false: what must last is kept in %s",
		config->persistence_db ? " such as " : "",
		config->persistence_db ? config->persistence_db : "", config->working_path);
}

/* What no setting alone can be blamed for. */
static int check_together(const struct broker_config *config, struct error *err)
{
	if (config->enable_gateway && config->enable_gateway_client_auth &&
	    !config->gateway_trust_store)
		return error_set(err, ERR_CONFIG,
				 "enable-tls-client-auth-gateway needs "
				 "gateway-to-broker-connector-trust-store-file");
	return check_persistence(config, err);
}

int broker_config_load(struct broker_config *config, const char *path, struct error *err)
{
	if (!path && (access(BROKER_CONFIG_PATH, F_OK) == 0 || errno != ENOENT))
		path = BROKER_CONFIG_PATH;
	if (path && check_access(path, err) < 0)
		return -1;
	if (settings_load(settings, ARRAY_SIZE(settings), config, path, CONFIG_PROPERTIES, err) < 0)
		return -1;
	if (check_together(config, err) < 0)
		return path ? error_prefix(err, "%s", path) : -1;
	if (config->enable_cloud_watch)
		log_info(
			"enable-cloud-watch-metrics: nothing is sent to CloudWatch; \"%s\" and the "
			"metrics port tell the numbers",
			"dcv-session-manager-broker metrics");
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
