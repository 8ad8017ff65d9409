#include "agent/files/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/files/protocol.h"
#include "agent/files/reply.h"
#include "common/cleanup.h"
#include "common/http-form.h"

static void closedir_p(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

/* Where a link leads to, or false: nowhere below. */
static bool follow(const struct storage_root *root, const char *folder, const char *name,
		   struct stat *ret)
{
	char path[FILES_PATH_MAX_BYTES + 1];
	AUTO(close_p) int fd = -1;
	struct error err;

	return (size_t)snprintf(path, sizeof(path), "%s%s%s", folder, folder[0] ? "/" : "", name) <
		       sizeof(path) &&
	       storage_root_open(root, path, O_PATH, &fd, &err) == 0 && fstat(fd, ret) == 0;
}

static int append_entry(struct buf *body, const char *name, const struct stat *status,
			struct error *err)
{
	long long ms = (long long)status->st_mtim.tv_sec * 1000 + status->st_mtim.tv_nsec / 1000000;

	if (buf_append_text(body, "{\"name\":\"", err) < 0 ||
	    http_percent_append(body, name, err) < 0)
		return -1;
	return buf_printf(body, err, "\",\"folder\":%s,\"size\":%lld,\"time\":%lld}",
			  S_ISDIR(status->st_mode) ? "true" : "false", (long long)status->st_size,
			  ms);
}

static int append_entries(const struct storage_root *root, const char *path, DIR *folder,
			  struct buf *body, struct error *err)
{
	const struct dirent *entry;
	struct stat status;
	size_t n = 0;

	while (n < FILES_ENTRIES_MAX && (entry = readdir(folder))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    fstatat(dirfd(folder), name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
		    (S_ISLNK(status.st_mode) && !follow(root, path, name, &status)) ||
		    (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)))
			continue;
		if ((n++ > 0 && buf_append(body, ",", 1, err) < 0) ||
		    append_entry(body, name, &status, err) < 0)
			return -1;
	}
	return buf_printf(body, err, "],\"more\":%s}", n == FILES_ENTRIES_MAX ? "true" : "false");
}

int listing_serve(const struct storage_root *root, const struct file_request *request, int stream,
		  struct error *err)
{
	AUTO(buf_done) struct buf body = {0};
	AUTO(closedir_p) DIR *folder = NULL;
	int fd;

	if (storage_root_open(root, request->path, O_RDONLY | O_DIRECTORY, &fd, err) < 0)
		return -1;
	folder = fdopendir(fd);
	if (!folder) {
		close_p(&fd);
		return error_errno(err, "read a folder");
	}
	if (buf_append_text(&body, "{\"entries\":[", err) < 0 ||
	    append_entries(root, request->path, folder, &body, err) < 0)
		return -1;
	(void)reply_json(stream, 200, &body);
	return 0;
}
