#include "agent/keeper/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/keeper/directory.h"
#include "agent/keeper/protocol.h"
#include "agent/keeper/tree.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/number.h"

#define CLAIM_LOCK "claim.lock"
#define STATE_FILE "state"
#define OWNER_FOLDER "owner"
#define NUMBER_MAX 1000000
#define BACKLOG 64

static int join(char **ret, const char *folder, const char *name, struct error *err)
{
	if (asprintf(ret, "%s/%s", folder, name) < 0) {
		*ret = NULL;
		return error_oom(err);
	}
	return 0;
}

static int lock_file(const char *path, int operation, int *ret_fd, struct error *err)
{
	AUTO(close_p) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_errno(err, "open %s", path);
	while (flock(fd, operation) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EWOULDBLOCK)
			return error_set(err, ERR_CONFLICT, "%s is locked", path);
		return error_errno(err, "lock %s", path);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int lock_claims(const char *run_dir, int *ret_fd, struct error *err)
{
	AUTO(free_p) char *path = NULL;

	if (join(&path, run_dir, CLAIM_LOCK, err) < 0)
		return -1;
	return lock_file(path, LOCK_EX, ret_fd, err);
}

static int name_folder(struct folder *folder, const char *run_dir, int number, struct error *err)
{
	folder->number = number;
	if (asprintf(&folder->path, "%s/%d", run_dir, number) < 0) {
		folder->path = NULL;
		return error_oom(err);
	}
	return join(&folder->owner_path, folder->path, OWNER_FOLDER, err);
}

static int lock_folder(struct folder *folder, struct error *err)
{
	AUTO(free_p) char *path = NULL;

	if (join(&path, folder->path, KEEPER_LOCK_FILE, err) < 0)
		return -1;
	return lock_file(path, LOCK_EX | LOCK_NB, &folder->lock_fd, err);
}

/* Whether the session of this folder has the id that somebody wants to give to a new one. */
static int check_other(const char *run_dir, int number, const char *session_id, struct error *err)
{
	AUTO(folder_done) struct folder other = FOLDER_NONE;
	AUTO(record_done) struct record record = RECORD_NONE;
	struct error ignored = {0};

	if (name_folder(&other, run_dir, number, err) < 0)
		return -1;
	if (folder_read_record(&other, &record, &ignored) < 0 ||
	    strcmp(record.session_id, session_id) != 0)
		return 0;
	if (lock_folder(&other, &ignored) < 0)
		return error_set(err, ERR_CONFLICT, "session %s exists already", session_id);
	return error_set(err, ERR_CONFLICT,
			 "session %s exists already: its keeper was killed, clean number %d first",
			 session_id, number);
}

static int check_others(const char *run_dir, const char *session_id, struct error *err)
{
	AUTO(closedir_p) DIR *folder = opendir(run_dir);
	const struct dirent *entry;
	long long number;

	if (!folder)
		return error_errno(err, "open %s", run_dir);
	while ((entry = readdir(folder))) {
		if (number_parse(entry->d_name, 1, NUMBER_MAX, &number) &&
		    check_other(run_dir, (int)number, session_id, err) < 0)
			return -1;
	}
	return 0;
}

static int make_lowest(struct folder *folder, const char *run_dir, struct error *err)
{
	for (int number = 1; number <= NUMBER_MAX; number++) {
		folder_done(folder);
		if (name_folder(folder, run_dir, number, err) < 0)
			return -1;
		if (mkdir(folder->path, 0711) == 0) {
			if (chmod(folder->path, 0711) < 0) /* whatever the umask */
				return error_errno(err, "chmod %s", folder->path);
			return 0;
		}
		if (errno != EEXIST)
			return error_errno(err, "make %s", folder->path);
	}
	return error_set(err, ERR_LIMIT, "no number is free in %s", run_dir);
}

static int check_giver(int giver, struct error *err)
{
	struct pollfd poll_fd = {.fd = giver};

	if (giver >= 0 && poll(&poll_fd, 1, 0) == 0)
		return 0;
	return error_set(err, ERR_UNREACHABLE, "who ordered the session has gone meanwhile");
}

int folder_claim(struct folder *ret, const char *run_dir, const struct record *record, int giver,
		 struct error *err)
{
	AUTO(folder_done) struct folder folder = FOLDER_NONE;
	AUTO(close_p) int claim_fd = -1;

	if (file_make_folder(run_dir, 0711, err) < 0 || lock_claims(run_dir, &claim_fd, err) < 0 ||
	    check_giver(giver, err) < 0 || check_others(run_dir, record->session_id, err) < 0 ||
	    make_lowest(&folder, run_dir, err) < 0)
		return -1;
	if (lock_folder(&folder, err) < 0 || folder_write_record(&folder, record, err) < 0) {
		struct error ignored = {0};

		(void)tree_remove(folder.path, &ignored);
		return -1;
	}
	*ret = folder;
	folder = FOLDER_NONE;
	return 0;
}

int folder_find(const char *run_dir, const char *session_id)
{
	AUTO(closedir_p) DIR *folder = opendir(run_dir);
	const struct dirent *entry;
	struct error ignored = {0};
	long long number;

	while (folder && (entry = readdir(folder))) {
		if (number_parse(entry->d_name, 1, NUMBER_MAX, &number) &&
		    check_other(run_dir, (int)number, session_id, &ignored) < 0 &&
		    ignored.code == ERR_CONFLICT)
			return (int)number;
	}
	return 0;
}

int folder_make_owner(struct folder *folder, const struct account *owner, struct error *err)
{
	if (mkdir(folder->owner_path, 0700) < 0)
		return error_errno(err, "make %s", folder->owner_path);
	if (geteuid() == 0 && lchown(folder->owner_path, owner->uid, owner->gid) < 0)
		return error_errno(err, "give %s to user %s", folder->owner_path, owner->name);
	return 0;
}

int folder_take_over(struct folder *ret, const char *run_dir, int number, struct error *err)
{
	AUTO(folder_done) struct folder folder = FOLDER_NONE;
	AUTO(close_p) int claim_fd = -1;

	if (name_folder(&folder, run_dir, number, err) < 0 ||
	    lock_claims(run_dir, &claim_fd, err) < 0)
		return -1;
	if (access(folder.path, F_OK) < 0)
		return error_errno(err, "%s", folder.path);
	if (lock_folder(&folder, err) < 0) {
		if (err->code == ERR_CONFLICT)
			return error_set(err, ERR_CONFLICT, "the keeper of session %d lives",
					 number);
		return -1;
	}
	*ret = folder;
	folder = FOLDER_NONE;
	return 0;
}

int folder_write_record(const struct folder *folder, const struct record *record, struct error *err)
{
	AUTO(free_p) char *path = NULL;

	if (join(&path, folder->path, STATE_FILE, err) < 0)
		return -1;
	return record_write(record, path, err);
}

int folder_read_record(const struct folder *folder, struct record *ret, struct error *err)
{
	AUTO(free_p) char *path = NULL;

	if (join(&path, folder->path, STATE_FILE, err) < 0)
		return -1;
	return record_read(ret, path, err);
}

/* An address in this folder however long its path: sun_path holds 108 bytes. */
static int bind_in(int folder_fd, const char *name, int fd, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder_fd,
		     name) >= (int)sizeof(address.sun_path))
		return error_set(err, ERR_TOO_LARGE, "socket name too long: %s", name);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, "bind socket %s", name);
	return 0;
}

int folder_listen(const char *path, gid_t group, int *ret_fd, struct error *err)
{
	const char *name = strrchr(path, '/');
	AUTO(free_p) char *parent = name ? strndup(path, (size_t)(name - path) + 1) : strdup(".");
	AUTO(close_p) int folder_fd = -1;
	AUTO(close_p) int fd = -1;

	if (!parent)
		return error_oom(err);
	name = name ? name + 1 : path;
	folder_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return error_errno(err, "open %s", parent);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, "make a socket");
	/* Nobody can connect before listen(), so the mode holds from the first moment. */
	if (bind_in(folder_fd, name, fd, err) < 0)
		return -1;
	if (fchownat(folder_fd, name, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(folder_fd, name, 0660, 0) < 0 || listen(fd, BACKLOG) < 0)
		return error_errno(err, "listen at %s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void folder_remove(struct folder *folder, const char *run_dir)
{
	AUTO(close_p) int claim_fd = -1;
	struct error err = {0};

	/* The owner's part first and without the lock: should it hang, then nobody else does. */
	if (folder->path &&
	    (tree_remove(folder->owner_path, &err) < 0 ||
	     lock_claims(run_dir, &claim_fd, &err) < 0 || tree_remove(folder->path, &err) < 0))
		log_error("%s is left behind: %s", folder->path, err.message);
}

void folder_done(struct folder *folder)
{
	free(folder->path);
	free(folder->owner_path);
	close_p(&folder->lock_fd);
	*folder = FOLDER_NONE;
}
