#include "screenshot/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"

int output_write(int fd, const void *bytes, size_t len, struct error *err)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "write");
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* write() may succeed and the disk be full all the same: some file systems say so at close(). */
static int write_and_close(int *fd, const void *bytes, size_t len, struct error *err)
{
	if (output_write(*fd, bytes, len, err) < 0)
		return -1;
	if (close(TAKE_FD(*fd)) < 0)
		return error_errno(err, "close");
	return 0;
}

static mode_t permissions_of_new_files(void)
{
	mode_t mask = umask(0);

	(void)umask(mask);
	return 0666 & ~mask;
}

static int write_beside(const char *temporary, int *fd, const char *path, const void *bytes,
			size_t len, struct error *err)
{
	if (fchmod(*fd, permissions_of_new_files()) < 0)
		return error_errno(err, "set permissions");
	if (write_and_close(fd, bytes, len, err) < 0)
		return -1;
	if (rename(temporary, path) < 0)
		return error_errno(err, "rename");
	return 0;
}

static int replace_file(const char *path, const void *bytes, size_t len, struct error *err)
{
	AUTO(buf_done) struct buf temporary = {0};
	AUTO(close_p) int fd = -1;

	if (buf_printf(&temporary, err, "%s.XXXXXX", path) < 0)
		return -1;
	fd = mkostemp(temporary.data, O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "create a file beside it");
	if (write_beside(temporary.data, &fd, path, bytes, len, err) < 0) {
		(void)unlink(temporary.data);
		return -1;
	}
	return 0;
}

static int write_device(const char *path, const void *bytes, size_t len, struct error *err)
{
	AUTO(close_p) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return error_errno(err, "open");
	return write_and_close(&fd, bytes, len, err);
}

int output_write_file(const char *path, const void *bytes, size_t len, struct error *err)
{
	struct stat st;
	bool is_device = stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);

	if ((is_device ? write_device(path, bytes, len, err)
		       : replace_file(path, bytes, len, err)) < 0)
		return error_prefix(err, "%s", path);
	return 0;
}

const char *output_suffix(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *dot = strrchr(name, '.');

	return dot && dot != name ? dot : name + strlen(name);
}

int output_numbered_path(const char *path, size_t number, char **ret, struct error *err)
{
	AUTO(buf_done) struct buf numbered = {0};
	const char *suffix = output_suffix(path);

	if (buf_append(&numbered, path, (size_t)(suffix - path), err) < 0 ||
	    buf_printf(&numbered, err, "-%zu%s", number, suffix) < 0)
		return -1;
	*ret = buf_steal(&numbered);
	return 0;
}
