/** Whole files. */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"

/** Append the contents of @path to @ret. ERR_TOO_LARGE above @max_bytes; errors name the path. */
int file_read(const char *path, size_t max_bytes, struct buf *ret, struct error *err);

/** The same from @fd, up to the end; @path is for errors. */
int file_read_open(int fd, const char *path, size_t max_bytes, struct buf *ret, struct error *err);

/**
 * Replace @path by a file with these contents, or leave it as it was: written beside it, synced,
 * renamed. Nothing is left behind on failure, a full disk included.
 */
int file_write_atomic(const char *path, const void *bytes, size_t len, mode_t mode,
		      struct error *err);

/**
 * The same without waiting for the disk: survives the end of this program, not that of the host.
 * For what is of no use after a reboot anyway.
 */
int file_write_volatile(const char *path, const void *bytes, size_t len, mode_t mode,
			struct error *err);

/** The path of @name in the folder where the running program lies; for the caller to free. */
int file_beside_program(const char *name, char **ret, struct error *err);

/** mkdir -p: make @path and its parents with @mode where they are missing. */
int file_make_folder(const char *path, mode_t mode, struct error *err);

#endif
