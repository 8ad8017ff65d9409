#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

int file_read(const char *path, size_t max_bytes, struct buf *ret, struct error *err)
{
	AUTO(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, "open %s", path);
	return file_read_open(fd, path, max_bytes, ret, err);
}

int file_read_open(int fd, const char *path, size_t max_bytes, struct buf *ret, struct error *err)
{
	size_t start = ret->len;

	for (;;) {
		ssize_t n;

		if (buf_reserve(ret, 4096, err) < 0)
			return -1;
		n = read(fd, ret->data + ret->len, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "read %s", path);
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
		if (n == 0)
			return 0;
		if (ret->len - start > max_bytes)
			return error_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path,
					 max_bytes);
	}
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int replace(const char *path, const void *bytes, size_t len, mode_t mode, bool is_durable,
		   struct error *err)
{
	AUTO(free_p) char *temporary = NULL;
	AUTO(close_p) int fd = -1;

	if (asprintf(&temporary, "%s.new", path) < 0) {
		temporary = NULL;
		return error_oom(err);
	}
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return error_errno(err, "create %s", temporary);
	if (fchmod(fd, mode) < 0 || write_all(fd, bytes, len) < 0 ||
	    (is_durable && fsync(fd) < 0) || rename(temporary, path) < 0) {
		(void)error_errno(err, "write %s", path);
		(void)unlink(temporary);
		return -1;
	}
	return 0;
}

int file_write_atomic(const char *path, const void *bytes, size_t len, mode_t mode,
		      struct error *err)
{
	return replace(path, bytes, len, mode, true, err);
}

int file_write_volatile(const char *path, const void *bytes, size_t len, mode_t mode,
			struct error *err)
{
	return replace(path, bytes, len, mode, false, err);
}

static int make_one_folder(const char *path, mode_t mode)
{
	struct stat status;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST || stat(path, &status) < 0)
		return -1;
	if (S_ISDIR(status.st_mode))
		return 0;
	errno = ENOTDIR;
	return -1;
}

int file_make_folder(const char *path, mode_t mode, struct error *err)
{
	AUTO(free_p) char *copy = strdup(path);
	char *slash;

	if (!copy)
		return error_oom(err);
	/* the '/' of an absolute path is no parent to make */
	for (slash = strchr(copy + (*copy == '/'), '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (make_one_folder(copy, mode) < 0)
			return error_errno(err, "create folder %s", copy);
		if (!slash)
			return 0;
		*slash = '/';
	}
}

int file_beside_program(const char *name, char **ret, struct error *err)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash, *path;

	if (len < 0)
		return error_errno(err, "read /proc/self/exe");
	self[len] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return error_set(err, ERR_SYSTEM, "cannot tell where this program lies");
	if (asprintf(&path, "%.*s/%s", (int)(slash - self), self, name) < 0)
		return error_oom(err);
	*ret = path;
	return 0;
}
