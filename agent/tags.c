#include "agent/tags.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/config-file.h"
#include "common/json.h"

#define CONFIG_FOLDER "/etc/dcv-session-manager-agent"

static int on_entry(const struct config_entry *entry, void *userdata, struct error *err)
{
	json_t *tags = userdata;

	if (entry->table[0])
		return error_set(err, ERR_CONFIG, "line %u: tags have no tables", entry->line);
	if (entry->type == CONFIG_LIST)
		return error_set(err, ERR_CONFIG, "line %u: tag '%s' must be a single value",
				 entry->line, entry->key);
	if (strncmp(entry->key, "dcv:", 4) == 0)
		return error_set(err, ERR_CONFIG, "line %u: '%s': names with dcv: are reserved",
				 entry->line, entry->key);
	if (!entry->key[0])
		return error_set(err, ERR_CONFIG, "line %u: a tag needs a name", entry->line);
	if (json_object_get(tags, entry->key))
		return error_set(err, ERR_CONFIG, "line %u: tag '%s' was given before", entry->line,
				 entry->key);
	if (json_object_set_new(tags, entry->key, json_string(entry->value)) < 0)
		return error_set(err, ERR_CONFIG, "line %u: tag '%s' is not UTF-8", entry->line,
				 entry->key);
	return 0;
}

static void load_file(json_t *tags, const char *folder, const char *name, json_t *wrong)
{
	json_auto_t *found = json_object();
	AUTO(free_p) char *path = NULL;
	struct stat status;
	struct error err;

	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		return;
	}
	/* a folder is not descended into, and a pipe would hold the agent up */
	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return;
	if (config_parse_file(path, CONFIG_TOML, on_entry, found, &err) < 0)
		(void)json_array_append_new(wrong, json_sprintf("tags left out: %s", err.message));
	else
		(void)json_object_update(tags, found);
}

static int is_tag_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".toml") == 0;
}

static int compare_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Unset: the tags/ folder of the configuration where there is one, else the configuration's. */
static const char *folder_of(const struct agent_config *config)
{
	struct stat status;

	if (config->tags_folder)
		return config->tags_folder;
	return stat(CONFIG_FOLDER "/tags", &status) == 0 ? CONFIG_FOLDER "/tags" : CONFIG_FOLDER;
}

static void load_files(json_t *tags, const struct agent_config *config, json_t *wrong)
{
	const char *folder = folder_of(config);
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, is_tag_file, compare_bytes);

	if (n < 0 && config->tags_folder)
		(void)json_array_append_new(wrong,
					    json_sprintf("tags: cannot read folder %s", folder));
	for (int i = 0; i < n; i++) {
		load_file(tags, folder, entries[i]->d_name, wrong);
		free(entries[i]);
	}
	free(entries);
}

static void set_number(json_t *tags, const char *key, long long number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", number);
	json_set_text(tags, key, text);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *to_array(json_t *tags)
{
	size_t n = 0, size = json_object_size(tags);
	AUTO(free_p) const char **keys = calloc(size + 1, sizeof(*keys));
	json_t *array = keys ? json_array() : NULL;
	const char *key;
	json_t *value;

	if (!array)
		return NULL;
	json_object_foreach(tags, key, value) keys[n++] = key;
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(array, json_pack("{s:s,s:O}", "Key", keys[i], "Value",
							     json_object_get(tags, keys[i])));
	return array;
}

json_t *tags_load(const struct agent_config *config, json_t *wrong)
{
	json_auto_t *tags = json_object();

	if (!tags)
		return NULL;
	load_files(tags, config, wrong);
	json_set_text(tags, "dcv:os-family", "linux");
	set_number(tags, "dcv:max-virtual-sessions", config->max_virtual_sessions);
	set_number(tags, "dcv:max-concurrent-sessions-per-user", config->max_sessions_per_user);
	return to_array(tags);
}

const char *tags_get(const json_t *tags, const char *key, size_t key_len)
{
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const json_t *tag = json_array_get(tags, i);
		const char *found = json_get_text(tag, "Key");

		if (strlen(found) == key_len && memcmp(found, key, key_len) == 0)
			return json_get_text(tag, "Value");
	}
	return NULL;
}
