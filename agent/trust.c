#include "agent/trust.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

static int check_one(const char *path, uid_t uid, struct error *err)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "%s", path);
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

int trust_check_path(const char *path, uid_t uid, struct error *err)
{
	AUTO(free_p) char *real = realpath(path, NULL), *part = NULL;

	if (!real && errno != ENOENT)
		return error_errno(err, "%s", path);
	part = real ? TAKE(real) : strdup(path);
	if (!part)
		return error_oom(err);
	for (char *slash = part; slash; slash = strchr(slash + 1, '/')) {
		char kept = slash[1];

		/* the part before the next component, "/" for the first */
		if (slash == part) {
			slash[1] = '\0';
			if (check_one(part, uid, err) < 0)
				return -1;
			slash[1] = kept;
			continue;
		}
		*slash = '\0';
		if (check_one(part, uid, err) < 0)
			return -1;
		*slash = '/';
	}
	return check_one(part, uid, err);
}
