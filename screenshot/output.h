/**
 * Putting a finished file where the user wants it.
 */
#ifndef SCREENSHOT_OUTPUT_H
#define SCREENSHOT_OUTPUT_H

#include <stddef.h>

#include "common/error.h"

/** Write everything to a descriptor, which stays open. */
int output_write(int fd, const void *bytes, size_t len, struct error *err);

/**
 * Make a file, or replace one, at one stroke: whoever opens @path finds all of it or what was there
 * before, also when this fails. A device or a pipe at @path is written to instead.
 *
 * The file gets the permissions that a new file gets. A symbolic link to a file is itself replaced.
 */
int output_write_file(const char *path, const void *bytes, size_t len, struct error *err);

/**
 * The name of one of several files: "shot.png" is "shot-2.png" for 2. The suffix begins at the last
 * dot of the file's own name, unless that is its first character.
 *
 * @ret: on success for free()
 */
int output_numbered_path(const char *path, size_t number, char **ret, struct error *err);

/** The suffix with its dot, or "" without one; within @path. */
const char *output_suffix(const char *path);

#endif
