/**
 * Files that are replaced together: first all are written beside their places, then all are renamed.
 */
#ifndef AGENT_JOIN_FILES_H
#define AGENT_JOIN_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"

#define JOIN_FILES_MAX 4

struct join_files {
	struct join_file {
		char *path, *beside; /* owned */
	} files[JOIN_FILES_MAX];
	size_t n;
};

/**
 * Write what is to be at @path. It gets @mode, @uid and @gid ((uid_t)-1, (gid_t)-1: ours), but if
 * @keeps and there is a file already, that file's.
 */
int join_files_add(struct join_files *files, const char *path, const struct buf *bytes, mode_t mode,
		   uid_t uid, gid_t gid, bool keeps, struct error *err);

/** Put all in their places. On failure those that were not yet are as they were. */
int join_files_commit(struct join_files *files, struct error *err);

/** What was not committed is removed. */
void join_files_done(struct join_files *files);

#endif
