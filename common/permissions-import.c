/* Imports of permission files.
 *
 * A file that came through the API may be anybody's, and what it imports is read as the agent. So
 * where import folders are set, a path that does not lie in one of them as it is written is refused
 * before anything is asked of the file system, that nobody learns what exists elsewhere; and what
 * was opened is looked at again by the place where it really lies. Only then is it read. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/permissions-parts.h"

#define OUTSIDE "it is outside of the folders that may be imported from"

/* What was found. The descriptor is for looking only (O_PATH). */
struct found {
	int fd;
	char *path;
	struct stat status;
};

static void found_done(struct found *found)
{
	close_p(&found->fd);
	free(found->path);
}

/* --- where it may be ---------------------------------------------------------------------------
 */

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	while (len > 0 && folder[len - 1] == '/')
		len--;
	return strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* @path is absolute and has neither "." nor "..". */
static bool is_allowed(const struct permissions_options *options, const char *path)
{
	const char *folder = options->import_folders;

	for (; folder && *folder; folder += strlen(folder) + 1) {
		AUTO(free_p) char *real = realpath(folder, NULL);

		if (is_below(path, folder) || (real && is_below(path, real)))
			return true;
	}
	return !options->import_folders;
}

/* Absolute @path, in place, without "//", "." and "..", as far as one can tell from the text. */
static void flatten(char *path)
{
	char *out = path, *at = path;

	while (*at) {
		size_t len;

		at += strspn(at, "/");
		len = strcspn(at, "/");
		if (len == 2 && at[0] == '.' && at[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (len > 0 && !(len == 1 && *at == '.')) {
			*out++ = '/';
			memmove(out, at, len);
			out += len;
		}
		at += len;
	}
	*out = '\0';
}

static bool is_allowed_as_written(const struct permissions_options *options, const char *path)
{
	AUTO(free_p) char *flat = strdup(path);

	if (!options->import_folders)
		return true;
	if (!flat || *path != '/')
		return false;
	flatten(flat);
	return is_allowed(options, flat);
}

static bool is_allowed_really(const struct permissions_options *options, int fd)
{
	char link[40], path[PATH_MAX];
	ssize_t len;

	if (!options->import_folders)
		return true;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0)
		return false;
	path[len] = '\0';
	return is_allowed(options, path);
}

/* --- finding it --------------------------------------------------------------------------------
 */

static int look(const struct permissions_options *options, const char *path, struct found *ret,
		struct error *err)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
	AUTO(close_p) int fd = -1;

	if (!is_allowed_as_written(options, path))
		return error_set(err, ERR_DENIED, OUTSIDE);
	fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (fd < 0 || fstat(fd, &ret->status) < 0)
		return error_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM, "%s",
				 strerror(errno));
	if (!is_allowed_really(options, fd))
		return error_set(err, ERR_DENIED, OUTSIDE);
	if (!S_ISREG(ret->status.st_mode))
		return error_set(err, ERR_INVALID, "it is not a regular file");
	ret->path = strdup(path);
	if (!ret->path)
		return error_oom(err);
	ret->fd = TAKE_FD(fd);
	return 0;
}

/* @path below a folder, of which the first @folder_len bytes are meant. */
static int look_in(const struct permissions_options *options, const char *folder, size_t folder_len,
		   const char *path, struct found *ret, struct error *err)
{
	AUTO(free_p) char *whole = NULL;

	while (folder_len > 0 && folder[folder_len - 1] == '/')
		folder_len--;
	if (asprintf(&whole, "%.*s/%s", (int)folder_len, folder, path) < 0) {
		whole = NULL;
		return error_oom(err);
	}
	return look(options, whole, ret, err);
}

static int find(const struct permissions_options *options, const char *importer, const char *path,
		struct found *ret, struct error *err)
{
	const char *folder = options->import_folders;
	int failed = -1;

	if (*path == '/')
		return look(options, path, ret, err);
	if (importer && strchr(importer, '/'))
		return look_in(options, importer, (size_t)(strrchr(importer, '/') - importer), path,
			       ret, err);
	if (importer || !folder)
		return look(options, path, ret, err);
	(void)error_set(err, ERR_DENIED, OUTSIDE);
	for (; *folder && failed < 0; folder += strlen(folder) + 1) {
		failed = look_in(options, folder, strlen(folder), path, ret, err);
		if (failed < 0 && err->code != ERR_NOT_FOUND)
			return -1;
	}
	return failed;
}

/* --- reading it --------------------------------------------------------------------------------
 */

static int read_found(struct permissions_reader *reader, const struct found *found, struct buf *ret,
		      struct error *err)
{
	char link[40];
	AUTO(close_p) int fd = -1;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", found->fd);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0 && file_read_open(fd, link, PERMISSIONS_TOTAL_MAX_BYTES - reader->n_bytes, ret,
				      err) == 0) {
		reader->n_bytes += ret->len;
		return 0;
	}
	if (fd >= 0 && err->code == ERR_TOO_LARGE)
		return error_set(err, ERR_TOO_LARGE, "all files together are larger than %d bytes",
				 PERMISSIONS_TOTAL_MAX_BYTES);
	return error_set(err, ERR_SYSTEM, "%s", strerror(errno));
}

static bool is_open(const struct source *source, const struct stat *status)
{
	for (; source; source = source->importer) {
		if (source->inode == status->st_ino && source->device == status->st_dev)
			return true;
	}
	return false;
}

int permissions_import(struct permissions_reader *reader, const struct source *source,
		       const char *path, struct error *err)
{
	struct problems *errors = &reader->report->errors;
	AUTO(found_done) struct found found = {.fd = -1};
	AUTO(buf_done) struct buf text = {0};
	struct source import = {.importer = source, .depth = source->depth + 1};
	struct error reason;

	if (import.depth > PERMISSIONS_IMPORT_DEPTH_MAX) {
		problems_add(errors, &source->place, "imports nested too deep");
		return 0;
	}
	if (*path == '\0') {
		problems_add(errors, &source->place, "cannot import: no path is given");
		return 0;
	}
	if (find(reader->options, source->place.file, path, &found, &reason) < 0) {
		problems_add(errors, &source->place, "cannot import %s: %s", path, reason.message);
		return 0;
	}
	if (is_open(source, &found.status)) {
		problems_add(errors, &source->place, "import cycle %s", path);
		return 0;
	}
	if (read_found(reader, &found, &text, &reason) < 0) {
		problems_add(errors, &source->place, "cannot import %s: %s", path, reason.message);
		return 0;
	}
	import.device = found.status.st_dev;
	import.inode = found.status.st_ino;
	if (permissions_add_file(reader->permissions, found.path, &import.place.file, err) < 0)
		return -1;
	return text.len == 0 ? 0
			     : permissions_read_lines(reader, &import, text.data, text.len, err);
}
