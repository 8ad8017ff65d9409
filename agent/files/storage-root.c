#include "agent/files/storage-root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "agent/files/protocol.h"
#include "common/cleanup.h"
#include "common/text.h"

#define TRIES_MAX 16 /* while others move folders about */

int storage_error(struct error *err)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return error_set(err, ERR_NOT_FOUND, "it does not exist");
	case EXDEV:
		return error_set(err, ERR_DENIED, "it is outside of the session's files");
	case EACCES:
	case EPERM:
		return error_set(err, ERR_DENIED, "the owner of the session may not do that");
	case EROFS:
		return error_set(err, ERR_DENIED, "nothing can be written there");
	case ENAMETOOLONG:
		return error_set(err, ERR_INVALID, "the name is too long");
	case ENOSPC:
		return error_set(err, ERR_STORE, "the disk is full");
	case EDQUOT:
		return error_set(err, ERR_STORE, "the owner's quota on the disk is used up");
	case EFBIG:
		return error_set(err, ERR_STORE, "files as large as this are not allowed there");
	default:
		return error_errno(err, "the system says");
	}
}

int storage_root_find(struct storage_root *root, const char *home, struct error *err)
{
	AUTO(free_p) char *path = NULL;
	const char *rest = root->text;

	if (root->fd >= 0)
		return 0;
	if (!text_skip(&rest, "%home%") || (rest[0] && rest[0] != '/')) {
		rest = root->text;
		home = "";
	}
	if (asprintf(&path, "%s%s", home, rest) < 0) {
		path = NULL;
		return error_oom(err);
	}
	if (path[0] != '/')
		return error_set(err, ERR_NOT_FOUND,
				 "the session's storage folder is neither an absolute path nor "
				 "below %%home%%");
	root->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root->fd >= 0)
		return 0;
	(void)storage_error(err);
	return error_prefix(err, "the session's storage folder");
}

int storage_root_open(const struct storage_root *root, const char *path, int flags, int *ret_fd,
		      struct error *err)
{
	struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int fd = -1;

	for (int i = 0; i < TRIES_MAX; i++) {
		fd = (int)syscall(SYS_openat2, root->fd, path[0] ? path : ".", &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	if (fd < 0)
		return storage_error(err);
	*ret_fd = fd;
	return 0;
}

int storage_root_open_parent(const struct storage_root *root, const char *path, int *ret_fd,
			     const char **ret_name, struct error *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char folder[FILES_PATH_MAX_BYTES + 1];

	if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(err, ERR_INVALID, "that is no name of a file");
	if (path[0] == '/')
		return error_set(err, ERR_DENIED, "it is outside of the session's files");
	(void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 0, path);
	if (storage_root_open(root, folder, O_PATH | O_DIRECTORY, ret_fd, err) < 0)
		return error_prefix(err, "the folder");
	*ret_name = name;
	return 0;
}
