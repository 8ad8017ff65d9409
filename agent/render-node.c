#include "agent/render-node.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cleanup.h"

#define DRI_FOLDER "/dev/dri" /* where EGL says its devices are, wherever they are found */

static bool is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISCHR(st.st_mode);
}

int render_node_choose(const char *patterns, render_node_users_fn users, void *userdata, char **ret,
		       struct error *err)
{
	glob_t found = {0};
	const char *best = NULL;
	long long fewest = 0;
	char *copy = NULL;

	for (const char *pattern = patterns; *pattern; pattern += strlen(pattern) + 1)
		(void)glob(pattern, found.gl_pathc > 0 ? GLOB_APPEND : 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		long long n;

		if (!render_node_is_allowed(patterns, path) || !is_device(path))
			continue;
		n = users(path, userdata);
		if (!best || n < fewest) {
			best = path;
			fewest = n;
		}
	}
	if (best)
		copy = strdup(best);
	globfree(&found);
	if (!best)
		return error_set(err, ERR_UNSUPPORTED,
				 *patterns ? "DcvGlEnabled: this host has no GPU that sessions may "
					     "use: there is no device %s"
					   : "DcvGlEnabled: this host gives sessions no GPU%s",
				 patterns);
	if (!copy)
		return error_oom(err);
	*ret = copy;
	return 0;
}

bool render_node_is_allowed(const char *patterns, const char *path)
{
	for (const char *pattern = patterns; *pattern; pattern += strlen(pattern) + 1) {
		if (fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0)
			return !strstr(path, "/../");
	}
	return false;
}

/* Who can do something about it is told what to do. */
static int refuse(const char *path, const char *user, struct error *err)
{
	char room[4096];
	struct group group, *found = NULL;
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & S_IRGRP) && (st.st_mode & S_IWGRP) &&
	    getgrgid_r(st.st_gid, &group, room, sizeof(room), &found) == 0 && found)
		return error_set(err, ERR_DENIED,
				 "user %s may not use the GPU %s: expected a member of group %s",
				 user, path, group.gr_name);
	return error_set(err, ERR_DENIED, "user %s may not use the GPU %s", user, path);
}

int render_node_try(const char *path, const char *user, struct error *err)
{
	AUTO(close_p) int fd = -1;
	struct stat st;

	/* Not every file may be opened for a try. */
	if (stat(path, &st) == 0 && !S_ISCHR(st.st_mode))
		return error_set(err, ERR_SYSTEM, "the GPU %s is no device", path);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0)
		return 0;
	if (errno == EACCES || errno == EPERM)
		return refuse(path, user, err);
	(void)error_errno(err, "open the GPU %s", path);
	return error_blame_host(err);
}

static bool is_primary_node(const char *name)
{
	return strncmp(name, "card", 4) == 0 && name[4] &&
	       !name[4 + strspn(name + 4, "0123456789")];
}

/* A device's folder in sysfs lists the nodes of its GPU; connectors ("card0-DP-1") lie deeper. */
static bool find_primary_node(const char *root, dev_t device, char *ret, size_t size)
{
	char path[PATH_MAX];
	struct dirent **entries = NULL;
	bool is_found = false;
	int n;

	if (snprintf(path, sizeof(path), "%s/sys/dev/char/%u:%u/device/drm", root, major(device),
		     minor(device)) >= (int)sizeof(path))
		return false;
	n = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (!is_found && is_primary_node(entries[i]->d_name))
			is_found = snprintf(ret, size, DRI_FOLDER "/%s", entries[i]->d_name) <
				   (int)size;
		free(entries[i]);
	}
	free(entries);
	return is_found;
}

void render_node_display(const char *root, const char *path, char ret[RENDER_NODE_DISPLAY_SIZE])
{
	char card[PATH_MAX];
	struct stat st;

	if (stat(path, &st) == 0 &&
	    find_primary_node(root, st.st_rdev, ret, RENDER_NODE_DISPLAY_SIZE) &&
	    snprintf(card, sizeof(card), "%s%s", root, ret) < (int)sizeof(card) &&
	    access(card, F_OK) == 0)
		return;
	(void)snprintf(ret, RENDER_NODE_DISPLAY_SIZE, "egl");
}
