#include "agent/disk.h"

#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/host-file.h"
#include "common/cleanup.h"

static const char *const folders[] = {"/home", "/tmp", "/run"};

/* Beginnings of the names of file systems that may wait for another machine, or for a program. */
static const char *const remote_types[] = {"nfs",    "cifs", "smb",   "fuse",  "autofs",
					   "afs",    "ceph", "gpfs",  "9p",    "glusterfs",
					   "lustre", "ncp",  "ocfs2", "beegfs"};

static bool is_remote(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(remote_types); i++) {
		if (strncmp(type, remote_types[i], strlen(remote_types[i])) == 0)
			return true;
	}
	return false;
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Mounted deepest on the way to the folder, and latest, is what the folder is on. */
static bool is_on_this_host(const char *root, const char *path)
{
	AUTO(fclose_p) FILE *mounts = host_file_open(root, "/proc/self/mounts");
	struct mntent entry;
	char buffer[4096];
	size_t deepest = 0;
	bool is_local = true;

	while (mounts && getmntent_r(mounts, &entry, buffer, sizeof(buffer))) {
		size_t len = strlen(entry.mnt_dir);

		if (len < deepest || !is_below(path, entry.mnt_dir))
			continue;
		deepest = len;
		is_local = !is_remote(entry.mnt_type);
	}
	return is_local;
}

json_t *disk_free_bytes(const char *root)
{
	json_t *object = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct statvfs status;

		if (is_on_this_host(root, folders[i]) && statvfs(folders[i], &status) == 0)
			(void)json_object_set_new(
				object, folders[i],
				json_integer((json_int_t)(status.f_bavail * status.f_frsize)));
	}
	return object;
}
