#include "agent/keeper/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/keeper/directory.h"
#include "common/cleanup.h"

#define PASSES_MAX 100000 /* one for each folder that is moved up */

static DIR *open_folder(int parent, const char *name)
{
	/* Not into what is mounted there, which may be a file system that never answers. */
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);

	if (!folder && fd >= 0)
		(void)close(fd);
	return folder;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool remove_entry(int folder, const char *name)
{
	char path[NAME_MAX + 64];

	if (unlinkat(folder, name, 0) == 0 || unlinkat(folder, name, AT_REMOVEDIR) == 0)
		return true;
	if (errno != EBUSY)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", folder, name);
	return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 &&
	       unlinkat(folder, name, AT_REMOVEDIR) == 0;
}

/* Move the folders of @name up into @top, remove everything else of it. */
static void empty(int top, const char *name, unsigned long *n_moved)
{
	AUTO(closedir_p) DIR *folder = NULL;
	const struct dirent *entry;
	char moved[64];

	if (fchmodat(top, name, 0700, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	folder = open_folder(top, name);
	while (folder && (entry = readdir(folder))) {
		if (is_dot(entry->d_name) || remove_entry(dirfd(folder), entry->d_name))
			continue;
		(void)snprintf(moved, sizeof(moved), ".moved-%lu", (*n_moved)++);
		(void)renameat(dirfd(folder), entry->d_name, top, moved);
	}
}

/* True if something is left. */
static bool pass(int top, unsigned long *n_moved)
{
	AUTO(closedir_p) DIR *folder = open_folder(top, ".");
	const struct dirent *entry;
	bool is_left = false;

	while (folder && (entry = readdir(folder))) {
		if (is_dot(entry->d_name) || remove_entry(top, entry->d_name))
			continue;
		empty(top, entry->d_name, n_moved);
		is_left = true;
	}
	return is_left;
}

int tree_remove(const char *path, struct error *err)
{
	AUTO(close_p) int top = -1;
	unsigned long n_moved = 0;

	/* Its owner may have mounted something over it. */
	while (geteuid() == 0 && umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0)
		return errno == ENOENT ? 0 : error_errno(err, "open %s", path);
	/* From now on nobody else puts anything into it. */
	if ((geteuid() == 0 && fchown(top, 0, 0) < 0) || fchmod(top, 0700) < 0)
		return error_errno(err, "take %s over", path);
	for (int i = 0; i < PASSES_MAX && pass(top, &n_moved); i++)
		;
	if (rmdir(path) < 0)
		return error_errno(err, "remove %s", path);
	return 0;
}
