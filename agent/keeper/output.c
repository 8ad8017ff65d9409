#include "agent/keeper/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/keeper/directory.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"

#define LOG_SUFFIX ".log"
#define ESCAPED_BYTES 4 /* "\x1b" */
#define OUTPUT_HEAD_MAX_BYTES (TIME_SIZE + 32)
#define READS_MAX 16 /* in one turn, so that a flood does not keep us from everything else */

static bool is_log(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(LOG_SUFFIX) && strcmp(name + len - strlen(LOG_SUFFIX), LOG_SUFFIX) == 0;
}

/* A living session's keeper holds the lock of its log. */
static bool is_in_use(int folder_fd, const char *name)
{
	AUTO(close_p) int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0;
}

/* Remove the oldest log of an ended session; how many logs there were. */
static size_t remove_oldest(DIR *folder)
{
	char oldest[NAME_MAX + 1] = "";
	struct timespec oldest_time = {0};
	const struct dirent *entry;
	struct stat st;
	size_t n = 0;

	rewinddir(folder);
	while ((entry = readdir(folder))) {
		if (!is_log(entry->d_name) ||
		    fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		n++;
		if ((!oldest[0] || st.st_mtim.tv_sec < oldest_time.tv_sec ||
		     (st.st_mtim.tv_sec == oldest_time.tv_sec &&
		      st.st_mtim.tv_nsec < oldest_time.tv_nsec)) &&
		    !is_in_use(dirfd(folder), entry->d_name)) {
			memcpy(oldest, entry->d_name, strlen(entry->d_name) + 1);
			oldest_time = st.st_mtim;
		}
	}
	if (n >= OUTPUT_LOGS_MAX && (!oldest[0] || unlinkat(dirfd(folder), oldest, 0) < 0))
		return 0;
	return n;
}

static void remove_old_logs(int folder_fd)
{
	AUTO(close_p) int copy = fcntl(folder_fd, F_DUPFD_CLOEXEC, 3);
	AUTO(closedir_p) DIR *folder = copy < 0 ? NULL : fdopendir(copy);

	if (!folder)
		return;
	copy = -1; /* the stream's now */
	while (remove_oldest(folder) > OUTPUT_LOGS_MAX)
		;
}

int output_open_log(const char *folder, const char *session_id, gid_t group, int *ret_fd,
		    struct error *err)
{
	AUTO(close_p) int folder_fd = -1;
	AUTO(close_p) int fd = -1;
	char name[NAME_MAX + 1];
	struct stat st;

	if (mkdir(folder, 0750) == 0 && chown(folder, (uid_t)-1, group) < 0)
		log_warning("give %s to group %u: %s", folder, group, strerror(errno));
	if (file_make_folder(folder, 0750, err) < 0)
		return -1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return error_errno(err, "open %s", folder);
	remove_old_logs(folder_fd);
	if (snprintf(name, sizeof(name), "%s" LOG_SUFFIX, session_id) >= (int)sizeof(name))
		return error_set(err, ERR_TOO_LARGE, "session id too long for a file name");
	fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return error_errno(err, "open %s/%s", folder, name);
	if (fstat(fd, &st) == 0 && st.st_size > OUTPUT_LOG_MAX_BYTES && ftruncate(fd, 0) < 0)
		return error_errno(err, "empty %s/%s", folder, name);
	if (fchown(fd, (uid_t)-1, group) < 0 || fchmod(fd, 0640) < 0)
		log_warning("give %s/%s to group %u: %s", folder, name, group, strerror(errno));
	(void)flock(fd, LOCK_SH | LOCK_NB);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int output_init(struct output *output, const char *source, int log_fd, int *ret_write_fd,
		struct error *err)
{
	int fds[2];

	*output = (struct output){.source = source, .fd = -1, .log_fd = log_fd};
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, "make a pipe");
	if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
		return error_errno(err, "make a pipe");
	}
	output->fd = fds[0];
	*ret_write_fd = fds[1];
	return 0;
}

/* "TIME SOURCE: ", cut short if need be; its length. */
static size_t make_head(char *ret, size_t size, const char *source)
{
	char time[TIME_SIZE];
	int n;

	time_format(time_now_ms(), time);
	n = snprintf(ret, size, "%s %s: ", time, source);
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* A disk that is full has no room for it, and that is all. The bytes that were to be written. */
static size_t write_line(int log_fd, const char *source, const char *line, size_t len)
{
	char head[OUTPUT_HEAD_MAX_BYTES];
	size_t head_len = make_head(head, sizeof(head), source);
	const struct iovec parts[] = {
		{.iov_base = head, .iov_len = head_len},
		{.iov_base = (void *)(size_t)line, .iov_len = len},
		{.iov_base = (void *)(size_t) "\n", .iov_len = 1},
	};

	if (log_fd >= 0 && writev(log_fd, parts, 3) < 0)
		return 0;
	return head_len + len + 1;
}

void output_tell(int log_fd, const char *source, const char *text)
{
	char safe[OUTPUT_LINE_MAX_BYTES];
	size_t len = log_escape(safe, sizeof(safe), text);

	(void)write_line(log_fd, source, safe, len);
}

static void keep_for_tail(struct output *o)
{
	char *kept = o->tail[o->n_lines % OUTPUT_TAIL_LINES];
	size_t len = o->line_len < OUTPUT_TAIL_LINE_MAX_BYTES ? o->line_len
							      : OUTPUT_TAIL_LINE_MAX_BYTES;

	if (len == 0)
		return;
	memcpy(kept, o->line, len);
	kept[len] = '\0';
	o->n_lines++;
}

/* A stream's share does not bind who can have ever new ones: the owner can end the program of a
 * screenshot and ask for another. */
static bool is_full(int log_fd)
{
	struct stat st;

	return log_fd >= 0 && fstat(log_fd, &st) == 0 && st.st_size >= OUTPUT_LOG_MOST_BYTES;
}

static void end_line(struct output *o)
{
	static const char note[] = "(too much output: the rest is dropped)";
	size_t len = o->line_len;

	keep_for_tail(o);
	o->line_len = 0;
	if (o->n_written > OUTPUT_STREAM_MAX_BYTES)
		return;
	if (o->n_written + len + OUTPUT_HEAD_MAX_BYTES > OUTPUT_STREAM_MAX_BYTES ||
	    is_full(o->log_fd)) {
		if (o->n_written > 0) /* else who began when it was full already would be noted */
			(void)write_line(o->log_fd, o->source, note, sizeof(note) - 1);
		o->n_written = OUTPUT_STREAM_MAX_BYTES + 1;
		return;
	}
	o->n_written += write_line(o->log_fd, o->source, o->line, len);
}

void output_add(struct output *o, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];
		/* Whoever reads the log in a terminal is not to be the toy of its writer. */
		bool is_unsafe = (c < 0x20 && c != '\t') || c == 0x7f;

		char escaped[ESCAPED_BYTES + 1] = {(char)c, '\0'};
		size_t n = is_unsafe ? ESCAPED_BYTES : 1;

		if (c == '\n' || o->line_len + n > sizeof(o->line))
			end_line(o);
		if (c == '\n')
			continue;
		if (is_unsafe)
			(void)snprintf(escaped, sizeof(escaped), "\\x%02x", c);
		memcpy(o->line + o->line_len, escaped, n);
		o->line_len += n;
	}
}

void output_read(struct output *o)
{
	char bytes[16384];

	for (int i = 0; i < READS_MAX && o->fd >= 0; i++) {
		ssize_t n = read(o->fd, bytes, sizeof(bytes));

		if (n > 0)
			output_add(o, bytes, (size_t)n);
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && errno == EAGAIN)
			return;
		else
			close_p(&o->fd);
	}
}

void output_tail(struct output *o, size_t n_max, char *ret, size_t size)
{
	size_t n, len = 0;

	output_read(o);
	if (o->line_len > 0)
		end_line(o);
	n = o->n_lines < OUTPUT_TAIL_LINES ? o->n_lines : OUTPUT_TAIL_LINES;
	n = n < n_max ? n : n_max;
	ret[0] = '\0';
	for (size_t i = o->n_lines - n; i < o->n_lines && len < size; i++)
		len += (size_t)snprintf(ret + len, size - len, "%s%s", len > 0 ? " | " : "",
					o->tail[i % OUTPUT_TAIL_LINES]);
}

void output_done(struct output *o)
{
	output_read(o);
	if (o->line_len > 0)
		end_line(o);
	close_p(&o->fd);
}
