/**
 * The tags of this host: those of the administrator's files, and the automatic ones.
 * Source: the administration reference, "Agent tags".
 */
#ifndef AGENT_TAGS_H
#define AGENT_TAGS_H

#include <jansson.h>

#include "agent/config.h"

/**
 * A new array of {Key, Value}, sorted by key. Files (*.toml) are read in byte order of their names;
 * a key of a later one wins. A file that is wrong is left out as a whole: @wrong, an array, gets a
 * sentence with its name and line. NULL without memory.
 */
json_t *tags_load(const struct agent_config *config, json_t *wrong);

/** The value of the tag whose key is the first @key_len bytes of @key; NULL if there is none. */
const char *tags_get(const json_t *tags, const char *key, size_t key_len);

#endif
