#include "agent/files/download.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/files/reply.h"
#include "common/cleanup.h"

#define PIECE_BYTES (128UL * 1024)

/* Looked at before it is opened, for to open a pipe or a device has effects. */
static int open_regular(const struct storage_root *root, const char *path, int *ret_fd,
			struct stat *ret_status, struct error *err)
{
	AUTO(close_p) int there = -1;
	char self[40];

	if (storage_root_open(root, path, O_PATH, &there, err) < 0)
		return -1;
	if (fstat(there, ret_status) < 0)
		return storage_error(err);
	if (!S_ISREG(ret_status->st_mode))
		return error_set(err, ERR_INVALID, "it is %s",
				 S_ISDIR(ret_status->st_mode) ? "a folder" : "no regular file");
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", there);
	*ret_fd = open(self, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	return *ret_fd < 0 ? storage_error(err) : 0;
}

/* Errors past the head can only be told by an early end. */
static void send_bytes(int fd, long long first, long long length, int stream)
{
	AUTO(free_p) char *piece = malloc(PIECE_BYTES);

	(void)posix_fadvise(fd, first, length, POSIX_FADV_SEQUENTIAL);
	while (piece && length > 0) {
		size_t wanted = length < (long long)PIECE_BYTES ? (size_t)length : PIECE_BYTES;
		ssize_t n = pread(fd, piece, wanted, first);

		if (n <= 0 || reply_send(stream, piece, (size_t)n) < 0)
			return;
		first += n;
		length -= n;
	}
}

int download_serve(const struct storage_root *root, const struct file_request *request, int stream,
		   struct error *err)
{
	AUTO(close_p) int fd = -1;
	struct reply_head head = {.status = 200};
	struct stat status;
	char etag[64];

	if (open_regular(root, request->path, &fd, &status, err) < 0)
		return -1;
	(void)snprintf(etag, sizeof(etag), "\"%llx-%llx-%llx\"", (unsigned long long)status.st_ino,
		       (unsigned long long)status.st_size,
		       (unsigned long long)status.st_mtim.tv_sec * 1000000000ULL +
			       (unsigned long long)status.st_mtim.tv_nsec);
	head.length = head.total = status.st_size;
	head.etag = etag;
	if (!request->if_range[0] || strcmp(request->if_range, etag) == 0)
		head.status =
			file_range_read(request->range, status.st_size, &head.first, &head.length);
	if (head.status == 416) {
		head.length = 0;
		(void)reply_begin(stream, &head);
		return 0;
	}
	if (reply_begin(stream, &head) == 0)
		send_bytes(fd, head.first, head.length, stream);
	return 0;
}
