#include "agent/join-files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

static int write_all(int fd, const struct buf *bytes)
{
	for (size_t done = 0; done < bytes->len;) {
		ssize_t n = write(fd, bytes->data + done, bytes->len - done);

		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return fsync(fd);
}

int join_files_add(struct join_files *files, const char *path, const struct buf *bytes, mode_t mode,
		   uid_t uid, gid_t gid, bool keeps, struct error *err)
{
	struct join_file *file = &files->files[files->n];
	AUTO(close_p) int fd = -1;
	struct stat st;
	bool is_there = stat(path, &st) == 0;

	if (is_there && S_ISDIR(st.st_mode)) {
		errno = EISDIR; /* rename() would only say so when others are in their places */
		return error_errno(err, "write %s", path);
	}
	if (keeps && is_there) {
		mode = st.st_mode & 07777;
		uid = st.st_uid;
		gid = st.st_gid;
	}
	file->path = strdup(path);
	if (!file->path || asprintf(&file->beside, "%s.joining", path) < 0) {
		free(TAKE(file->path));
		file->beside = NULL;
		return error_oom(err);
	}
	files->n++;
	(void)unlink(file->beside); /* of one that did not come to its end */
	fd = open(file->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	/* the owner first: chown() takes bits away */
	if (fd < 0 || fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0 || write_all(fd, bytes) < 0)
		return error_errno(err, "write %s", path);
	return 0;
}

int join_files_commit(struct join_files *files, struct error *err)
{
	for (size_t i = 0; i < files->n; i++) {
		if (rename(files->files[i].beside, files->files[i].path) < 0)
			return error_errno(err, "write %s", files->files[i].path);
		free(TAKE(files->files[i].beside));
	}
	return 0;
}

void join_files_done(struct join_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		struct join_file *file = &files->files[i];

		if (file->beside)
			(void)unlink(file->beside);
		free(file->beside);
		free(file->path);
	}
	files->n = 0;
}
