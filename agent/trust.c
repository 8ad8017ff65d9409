#include "agent/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

static int check_one(const char *path, uid_t uid, struct error *err)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return error_errno(err, "%s", path);
	if (status.st_uid != 0 && status.st_uid != uid)
		return error_set(err, ERR_DENIED, "%s belongs to uid %u, who could change it", path,
				 (unsigned)status.st_uid);
	/* In a sticky folder nobody can move away what others own; that the next one down is root's
	 * or ours is checked in its turn. */
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) && !(status.st_mode & S_ISVTX))
		return error_set(err, ERR_DENIED,
				 "%s can be written by others than its owner (%04o)", path,
				 (unsigned)status.st_mode & 07777);
	return 0;
}

/* The part of @path that is there, without links. A link to nothing could come to lead anywhere. */
static char *resolve(const char *path, struct error *err)
{
	AUTO(free_p) char *there = strdup(path);
	struct stat status;
	char *real, *slash;

	if (!there) {
		(void)error_oom(err);
		return NULL;
	}
	while (!(real = realpath(there, NULL))) {
		slash = strrchr(there, '/');
		if (errno != ENOENT || !slash || lstat(there, &status) == 0) {
			(void)error_errno(err, "%s", path);
			return NULL;
		}
		slash[slash == there] = '\0'; /* "/" is there */
	}
	return real;
}

int trust_check_path(const char *path, uid_t uid, struct error *err)
{
	AUTO(free_p) char *real = resolve(path, err);

	if (!real || check_one("/", uid, err) < 0)
		return -1;
	for (char *slash = strchr(real + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (check_one(real, uid, err) < 0)
			return -1;
		*slash = '/';
	}
	return check_one(real, uid, err);
}
