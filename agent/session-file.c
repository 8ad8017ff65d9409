#include "agent/session-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/trust.h"
#include "common/cleanup.h"

/* What is looked for, for the sentences. */
struct search {
	const char *what;
	const char *folder;
	const char *name;
	uid_t trusted; /* besides root */
};

static int refuse(const struct search *s, enum error_code code, const char *why, struct error *err)
{
	return error_set(err, code, "%s '%.200s' %s", s->what, s->name, why);
}

static int open_beneath(int folder_fd, const char *name, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_PATH | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, folder_fd, name, &how, sizeof(how));
}

static int explain_open(const struct search *s, struct error *err)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		(void)refuse(s, ERR_NOT_FOUND, "does not exist", err);
		return error_set(err, err->code, "%s in %s", err->message, s->folder);
	case EXDEV:
		(void)refuse(s, ERR_DENIED, "is outside", err);
		return error_set(err, err->code, "%s %s", err->message, s->folder);
	case ELOOP:
		return refuse(s, ERR_DENIED, "is behind too many symbolic links", err);
	case EACCES:
		return refuse(s, ERR_DENIED, "lies where the owner may not go", err);
	case ENAMETOOLONG:
		return refuse(s, ERR_INVALID, "has a name that is too long", err);
	default:
		(void)error_errno(err, "open %s '%.200s'", s->what, s->name);
		return error_blame_host(err);
	}
}

/* Who could change it, other than root and the one as whom it will run? */
static int check_writers(const struct search *s, const struct stat *st, const char *thing,
			 struct error *err)
{
	if (st->st_uid != 0 && st->st_uid != s->trusted)
		return error_set(err, ERR_DENIED,
				 "%s '%.200s' %sbelongs to uid %u: expected root or the one to "
				 "whom %s belongs",
				 s->what, s->name, thing, st->st_uid, s->folder);
	if ((st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && st->st_gid != 0))
		return error_set(err, ERR_DENIED, "%s '%.200s' %sis writable by others (mode %04o)",
				 s->what, s->name, thing, st->st_mode & 07777);
	return 0;
}

static int check_file(const struct search *s, int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "look at %s '%.200s'", s->what, s->name);
	if (!S_ISREG(st.st_mode))
		return refuse(s, ERR_DENIED, "is not a regular file", err);
	if (check_writers(s, &st, "", err) < 0)
		return -1;
	if (faccessat(fd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH) < 0)
		return refuse(s, ERR_DENIED, "is not executable by the session's owner", err);
	return 0;
}

/* The folders on the way from the folder's own path to the resolved @path. */
static int check_way(const struct search *s, const char *path, size_t folder_len, struct error *err)
{
	AUTO(free_p) char *way = strdup(path);
	struct stat st;

	if (!way)
		return error_oom(err);
	for (char *slash = strchr(way + folder_len + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (lstat(way, &st) < 0)
			return error_errno(err, "look at %s", way);
		if (check_writers(s, &st, "lies in a folder that ", err) < 0)
			return -1;
		*slash = '/';
	}
	return 0;
}

/* Path of an O_PATH descriptor, without links. */
static int path_of(int fd, char *ret, size_t size, struct error *err)
{
	char link[64];
	ssize_t len;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, ret, size);
	if (len < 0 || (size_t)len >= size) {
		(void)error_errno(err, "read %s", link);
		return error_blame_host(err);
	}
	ret[len] = '\0';
	return 0;
}

/* Where there is no folder, the file does not exist. */
static int explain_folder(const struct search *s, struct error *err)
{
	bool is_absent = errno == ENOENT;

	(void)error_errno(err, "%s '%.200s': folder %s", s->what, s->name, s->folder);
	return is_absent ? -1 : error_blame_host(err);
}

int session_file_find(const char *what, const char *folder, const char *name, char **ret,
		      struct error *err)
{
	struct search s = {.what = what, .folder = folder, .name = name, .trusted = geteuid()};
	AUTO(close_p) int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO(close_p) int fd = -1;
	char folder_path[PATH_MAX], path[PATH_MAX];

	if (!name[0])
		return error_set(err, ERR_INVALID, "%s: the name is empty", what);
	if (folder_fd < 0)
		return explain_folder(&s, err);
	/* Not even the agent may be able to put another folder in its place. */
	if (trust_check_path(folder, s.trusted, err) < 0) {
		(void)error_blame_host(err);
		return error_prefix(err, "%s '%.200s'", what, name);
	}
	fd = open_beneath(folder_fd, name, 0);
	if (fd < 0)
		return explain_open(&s, err);
	if (check_file(&s, fd, err) < 0 ||
	    path_of(folder_fd, folder_path, sizeof(folder_path), err) < 0 ||
	    path_of(fd, path, sizeof(path), err) < 0)
		return -1;
	/* Both are from the kernel; this fails only if somebody moves folders about meanwhile. */
	if (strncmp(path, folder_path, strlen(folder_path)) != 0 || strlen(folder_path) < 2 ||
	    path[strlen(folder_path)] != '/')
		return refuse(&s, ERR_DENIED, "was moved meanwhile", err);
	if (check_way(&s, path, strlen(folder_path), err) < 0)
		return -1;
	*ret = strdup(path);
	return *ret ? 0 : error_oom(err);
}
