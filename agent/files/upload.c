#include "agent/files/upload.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agent/files/reply.h"
#include "common/cleanup.h"
#include "common/http-form.h"

#define PIECE_BYTES (128UL * 1024)
#define NAMES_MAX 1000 /* that are tried for a file whose own is taken */
#define NAME_SHOWN_MAX_BYTES 200
#define SUFFIX_MAX_BYTES 32 /* a longer one is none */

struct upload {
	const struct file_request *request;
	int stream;
	int folder;
	const char *name; /* in the folder */
	char part[NAME_MAX + 1];
	int fd; /* of the part */
};

static void upload_done(struct upload *upload)
{
	close_p(&upload->folder);
	close_p(&upload->fd);
}

/* FNV-1a: tells files of one person apart, and is no secret. */
static void name_part(struct upload *upload)
{
	const struct file_request *r = upload->request;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	char text[NAME_MAX + 64];

	(void)snprintf(text, sizeof(text), "%lld %lld %s", r->size, r->time, upload->name);
	for (const char *p = text; *p; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	(void)snprintf(upload->part, sizeof(upload->part), ".%.*s.%016llx.part",
		       NAME_SHOWN_MAX_BYTES, upload->name, (unsigned long long)hash);
}

/* --- the part ----------------------------------------------------------------------------------
 */

/* One that was there before must be ours: in a folder that is shared, others could wait for what comes. */
static int check_part(const struct upload *upload, struct error *err)
{
	struct stat status;

	if (fstat(upload->fd, &status) < 0)
		return storage_error(err);
	if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || status.st_nlink != 1)
		return error_set(err, ERR_DENIED,
				 "something else has the name of what is there of it");
	return 0;
}

/* Its owner may have removed it meanwhile, and what has its name now is another upload's. */
static int check_place(const struct upload *upload, struct error *err)
{
	struct stat ours, there;

	if (fstat(upload->fd, &ours) == 0 &&
	    fstatat(upload->folder, upload->part, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
		return 0;
	return error_set(err, ERR_CONFLICT, "what was there of it has been removed meanwhile");
}

/* @flags: O_CREAT, or 0: an upload of which nothing is there leaves fd at -1. */
static int open_part(struct upload *upload, int flags, struct error *err)
{
	const int always = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	upload->fd = openat(upload->folder, upload->part, always);
	if (upload->fd >= 0 && check_part(upload, err) < 0)
		return -1;
	if (upload->fd < 0 && errno == ENOENT && flags)
		upload->fd = openat(upload->folder, upload->part, always | O_CREAT | O_EXCL, 0666);
	if (upload->fd < 0 && (errno != ENOENT || flags))
		return storage_error(err);
	/* file systems without locks have to do without */
	if (upload->fd >= 0 && flock(upload->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return error_set(err, ERR_CONFLICT, "it is being uploaded already");
	return upload->fd >= 0 ? check_place(upload, err) : 0;
}

static int look_offset(const struct upload *upload, long long *ret, struct error *err)
{
	struct stat status = {0};

	if (upload->fd >= 0 && fstat(upload->fd, &status) < 0)
		return storage_error(err);
	*ret = status.st_size;
	return 0;
}

/* Told before gigabytes have come in vain. */
static int check_room(const struct upload *upload, long long offset, struct error *err)
{
	long long wanted = upload->request->size - offset;
	struct statvfs status;
	unsigned long long left;

	if (fstatvfs(upload->folder, &status) < 0 || status.f_blocks == 0)
		return 0; /* it tells nothing */
	left = (unsigned long long)status.f_bavail * status.f_frsize;
	if (wanted <= 0 || left >= (unsigned long long)wanted)
		return 0;
	return error_set(err, ERR_STORE,
			 "the disk has no room for it: %lld MB are needed, %llu MB are left",
			 (wanted + 999999) / 1000000, left / 1000000);
}

static int write_all(int fd, const char *bytes, size_t len, long long at, struct error *err)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, bytes, len, at);

		if (n < 0)
			return storage_error(err);
		bytes += n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

/* What has come before the stream breaks, or the disk is full, stays. *ret: the bytes that are there. */
static int receive(const struct upload *upload, long long *ret, struct error *err)
{
	AUTO(free_p) char *piece = malloc(PIECE_BYTES);
	long long at = upload->request->offset, end = at + upload->request->length;

	if (!piece)
		return error_oom(err);
	while (at < end) {
		size_t wanted = end - at < (long long)PIECE_BYTES ? (size_t)(end - at)
								  : PIECE_BYTES;
		ssize_t n = recv(upload->stream, piece, wanted, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, ERR_UNREACHABLE, "the upload was broken off");
		if (write_all(upload->fd, piece, (size_t)n, at, err) < 0)
			return -1;
		at += n;
	}
	*ret = at;
	return 0;
}

/* --- when it is whole --------------------------------------------------------------------------
 */

/* 0, or an errno; EEXIST: the name is taken. */
static int rename_to(const struct upload *upload, const char *name)
{
	if (renameat2(upload->folder, upload->part, upload->folder, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return errno;
	/* a file system that cannot do that, NFS for one: the same in two steps */
	if (linkat(upload->folder, upload->part, upload->folder, name, 0) < 0)
		return errno;
	return unlinkat(upload->folder, upload->part, 0) < 0 ? errno : 0;
}

/* "a.tar" becomes "a (1).tar", and ".a" becomes ".a (1)". What would be too long for a name loses the end of
 * its stem, by whole letters: a file that has come does not fail for that. @size: as a name has at most. */
static void number_name(const char *name, unsigned number, char *ret, size_t size)
{
	const char *dot = strrchr(name, '.');
	size_t stem = strlen(name);
	char end[SUFFIX_MAX_BYTES + 16];

	if (dot && dot != name && strlen(dot) <= SUFFIX_MAX_BYTES)
		stem = (size_t)(dot - name);
	(void)snprintf(end, sizeof(end), " (%u)%s", number, name + stem);
	if (stem + strlen(end) >= size) {
		stem = size - 1 - strlen(end);
		while (stem > 1 && ((unsigned char)name[stem] & 0xc0) == 0x80)
			stem--;
	}
	(void)snprintf(ret, size, "%.*s%s", (int)stem, name, end);
}

static int give_name(const struct upload *upload, char *ret, size_t size, struct error *err)
{
	(void)snprintf(ret, size, "%s", upload->name);
	for (unsigned i = 1; i < NAMES_MAX; i++) {
		errno = rename_to(upload, ret);
		if (errno == 0)
			return 0;
		if (errno != EEXIST)
			return storage_error(err);
		number_name(upload->name, i, ret, size);
	}
	return error_set(err, ERR_CONFLICT, "there are too many files of that name");
}

/* On the disk before it is told to be there: what some file systems find out then is that it is full. */
static int complete(const struct upload *upload, struct error *err)
{
	AUTO(buf_done) struct buf body = {0};
	char name[NAME_MAX + 1];

	if (fsync(upload->fd) < 0)
		return storage_error(err);
	if (check_place(upload, err) < 0 || give_name(upload, name, sizeof(name), err) < 0)
		return -1;
	if (buf_append_text(&body, "{\"name\":\"", err) < 0 ||
	    http_percent_append(&body, name, err) < 0 || buf_append_text(&body, "\"}", err) < 0)
		return -1;
	(void)reply_json(upload->stream, 201, &body);
	return 0;
}

/* --- requests ----------------------------------------------------------------------------------
 */

static int serve_part(struct upload *upload, struct error *err)
{
	long long offset = 0;

	if (open_part(upload, 0, err) < 0 || look_offset(upload, &offset, err) < 0 ||
	    check_room(upload, offset, err) < 0)
		return -1;
	(void)reply_offset(upload->stream, offset);
	return 0;
}

static int serve_put(struct upload *upload, struct error *err)
{
	const struct file_request *r = upload->request;
	long long offset = 0;

	if (open_part(upload, O_CREAT, err) < 0 || look_offset(upload, &offset, err) < 0)
		return -1;
	if (offset != r->offset) {
		(void)error_set(err, ERR_CONFLICT, "other bytes are wanted");
		(void)reply_error(upload->stream, err, offset);
		return 0;
	}
	if (check_room(upload, offset, err) < 0 || receive(upload, &offset, err) < 0)
		return -1;
	if (offset == r->size)
		return complete(upload, err);
	(void)reply_offset(upload->stream, offset);
	return 0;
}

static int serve_drop(struct upload *upload, struct error *err)
{
	if (open_part(upload, 0, err) < 0)
		return -1;
	if (upload->fd >= 0 && unlinkat(upload->folder, upload->part, 0) < 0)
		return storage_error(err);
	(void)reply_offset(upload->stream, 0);
	return 0;
}

int upload_serve(const struct storage_root *root, const struct file_request *request, int stream,
		 struct error *err)
{
	AUTO(upload_done)
	struct upload upload = {.request = request, .stream = stream, .folder = -1, .fd = -1};

	if (storage_root_open_parent(root, request->path, &upload.folder, &upload.name, err) < 0)
		return -1;
	if (strlen(upload.name) > NAME_MAX)
		return error_set(err, ERR_INVALID, "the name is too long");
	name_part(&upload);
	switch (request->operation) {
	case FILE_PUT:
		return serve_put(&upload, err);
	case FILE_DROP:
		return serve_drop(&upload, err);
	default:
		return serve_part(&upload, err);
	}
}
