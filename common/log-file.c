#include "common/log-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define HOUR_S 3600
#define DAY_S 86400
#define RETRY_S 60

static time_t period_of(const struct log_file *file, time_t now)
{
	return now - now % (file->rotation.is_hourly ? HOUR_S : DAY_S);
}

/* Take over what is there: how much, and of when. */
static int open_path(struct log_file *file)
{
	AUTO(close_p)
	int fd = open(file->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (file->fd >= 0)
		(void)close(file->fd);
	file->fd = TAKE_FD(fd);
	file->size = (unsigned long long)st.st_size;
	file->period = period_of(file, st.st_size > 0 ? st.st_mtime : time(NULL));
	return 0;
}

/* @number 0: the file itself. */
static bool rotated_path(const struct log_file *file, unsigned number, char *ret, size_t size)
{
	int n = number == 0 ? snprintf(ret, size, "%s", file->path)
			    : snprintf(ret, size, "%s.%u", file->path, number);

	return n > 0 && (size_t)n < size;
}

/* More were kept before. */
static void remove_surplus(const struct log_file *file)
{
	char path[PATH_MAX];

	for (unsigned i = file->rotation.n_kept + 1; rotated_path(file, i, path, sizeof(path));
	     i++) {
		if (unlink(path) < 0)
			return;
	}
}

int log_file_open(struct log_file *file, const char *directory, const char *name,
		  const struct log_rotation *rotation, struct error *err)
{
	log_file_close(file);
	file->rotation = *rotation;
	if (asprintf(&file->path, "%s/%s", directory, name) < 0) {
		file->path = NULL;
		return error_oom(err);
	}
	if (open_path(file) < 0) {
		(void)error_errno(err, "open log file %s", file->path);
		log_file_close(file);
		return -1;
	}
	remove_surplus(file);
	return 0;
}

int log_file_reopen(struct log_file *file, struct error *err)
{
	if (open_path(file) < 0)
		return error_errno(err, "cannot reopen log file %s", file->path);
	return 0;
}

void log_file_close(struct log_file *file)
{
	close_p(&file->fd);
	free(file->path);
	file->path = NULL;
}

/* --- rotation ----------------------------------------------------------------------------------
 */

static int move_all(const struct log_file *file)
{
	char from[PATH_MAX], to[PATH_MAX];

	for (unsigned i = file->rotation.n_kept; i > 0; i--) {
		if (!rotated_path(file, i - 1, from, sizeof(from)) ||
		    !rotated_path(file, i, to, sizeof(to)))
			return -1;
		if (rename(from, to) < 0 && errno != ENOENT)
			return -1;
	}
	return 0;
}

/* Where it fails the file grows on: a large file is better than lost lines. */
static void rotate(struct log_file *file, time_t now)
{
	if (now < file->not_before)
		return;
	if (move_all(file) < 0 || open_path(file) < 0)
		file->not_before = now + RETRY_S;
}

static bool is_due(const struct log_file *file, time_t now, size_t len)
{
	if (file->size == 0)
		return false;
	return file->size + len > file->rotation.max_bytes || period_of(file, now) > file->period;
}

/* --- writing -----------------------------------------------------------------------------------
 */

bool log_file_try(struct log_file *file, time_t now, const char *line, size_t len)
{
	ssize_t n;

	if (file->fd < 0)
		return false;
	if (is_due(file, now, len))
		rotate(file, now);
	if (file->size == 0)
		file->period = period_of(file, now);
	n = write(file->fd, line, len);
	if (n == (ssize_t)len) {
		file->size += len;
		return true;
	}
	/* Half a line would be the beginning of the next one. */
	if (n > 0 && ftruncate(file->fd, (off_t)file->size) < 0)
		file->size += (size_t)n;
	return false;
}

void log_file_write(struct log_file *file, time_t now, const char *line, size_t len)
{
	if (!log_file_try(file, now, line, len))
		log_file_drop(file, 1);
}

void log_file_drop(struct log_file *file, unsigned long n)
{
	file->n_dropped += n;
	file->n_untold += n;
}
