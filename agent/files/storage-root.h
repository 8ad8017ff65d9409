/**
 * The folder of a session's files, and what is below it.
 *
 * It is found once, by its path, as any program of the owner would. From there on the kernel sees to it
 * that no path leads out (openat2): neither "..", nor an absolute path, nor a symbolic link. A link that
 * stays below is followed, as its owner would expect; one that leads out is refused like a file that
 * they may not read. Everything is done with the owner's rights and no others.
 */
#ifndef AGENT_FILES_STORAGE_ROOT_H
#define AGENT_FILES_STORAGE_ROOT_H

#include "common/error.h"

struct storage_root {
	const char *text; /* as it was asked for; borrowed */
	int fd;           /* -1: not found yet */
};

/** Find it, unless it has been found. "%home%" at the beginning stands for @home. */
int storage_root_find(struct storage_root *root, const char *home, struct error *err);

/**
 * Open what is at @path ("": the folder itself), with flags of open(). Errors are sentences for people
 * that do not repeat the path.
 */
int storage_root_open(const struct storage_root *root, const char *path, int flags, int *ret_fd,
		      struct error *err);

/** The folder that @path is in, and its name there, which points into @path. */
int storage_root_open_parent(const struct storage_root *root, const char *path, int *ret_fd,
			     const char **ret_name, struct error *err);

/** What errno says of a file, as such a sentence. Returns -1. */
int storage_error(struct error *err);

#endif
