/* The one piece of global state in the project: a log has no owner that could be passed down to
 * every place that has something to say, and a process has one standard error anyway. */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static struct {
	enum log_level level;
	int fd;
	char *path;
	unsigned long n_dropped;
	bool to_journal; /* standard error is the journal: it has the time and wants a priority */
	bool checked;
} state = {.level = LOG_LEVEL_INFO, .fd = -1};

static const struct {
	const char *name;
	const char *journal_priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", "<3>"},
	[LOG_LEVEL_WARNING] = {"warning", "<4>"},
	[LOG_LEVEL_INFO] = {"info", "<6>"},
	[LOG_LEVEL_DEBUG] = {"debug", "<7>"},
};

void log_set_level(enum log_level level)
{
	state.level = level;
}

bool log_level_from_name(const char *name, enum log_level *ret_level)
{
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
		if (strcmp(levels[i].name, name) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

static int open_log(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
}

int log_open_file(const char *directory, const char *name, struct error *err)
{
	char *path;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return error_oom(err);
	log_close();
	state.fd = open_log(path);
	if (state.fd < 0) {
		(void)error_errno(err, "open log file %s", path);
		free(path);
		return -1;
	}
	state.path = path;
	return 0;
}

void log_reopen_file(void)
{
	int fd;

	if (!state.path)
		return;
	fd = open_log(state.path);
	if (fd < 0) {
		log_error("cannot reopen log file %s: %s", state.path, strerror(errno));
		return;
	}
	(void)close(state.fd);
	state.fd = fd;
}

void log_close(void)
{
	if (state.fd >= 0)
		(void)close(state.fd);
	free(state.path);
	state.fd = -1;
	state.path = NULL;
}

/* How many bytes at @p are a character that would end the line, turn the text around it or speak to
 * a terminal: C0 and C1 controls, U+061C, U+200E, U+200F, U+2028..U+202E, U+2066..U+2069. */
static size_t unsafe_length(const unsigned char *p)
{
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	if (p[0] == 0xc2)
		return p[1] >= 0x80 && p[1] <= 0x9f ? 2 : 0;
	if (p[0] == 0xd8)
		return p[1] == 0x9c ? 2 : 0;
	if (p[0] != 0xe2)
		return 0;
	if (p[1] == 0x80)
		return p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae) ? 3 : 0;
	return p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9 ? 3 : 0;
}

static size_t escape(char *ret, size_t size, const char *text)
{
	size_t n = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p && n + 13 < size; p++) {
		size_t n_bytes = unsafe_length(p);

		if (n_bytes == 0) {
			ret[n++] = (char)*p;
			continue;
		}
		for (size_t i = 0; i < n_bytes; i++)
			n += (size_t)snprintf(ret + n, size - n, "\\x%02x", p[i]);
		p += n_bytes - 1;
	}
	ret[n] = '\0';
	return n;
}

static size_t stamp(char *ret, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm utc;
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &utc);
	n = strftime(ret, size, "%Y-%m-%d %H:%M:%S", &utc);
	return n + (size_t)snprintf(ret + n, size - n, ",%03ld %-7s ", now.tv_nsec / 1000000,
				    levels[level].name);
}

/* One write per line, so that lines of several processes do not mix. */
static bool write_line(int fd, const char *head, const char *text, size_t len)
{
	char line[LINE_MAX_BYTES + 64];
	int n = snprintf(line, sizeof(line), "%s%.*s\n", head, (int)len, text);

	return n > 0 && write(fd, line, (size_t)n) == n;
}

static void write_file(const char *head, const char *text, size_t len)
{
	char note[64];

	if (state.n_dropped > 0) {
		int n = snprintf(note, sizeof(note), "%lu lines could not be written",
				 state.n_dropped);

		if (!write_line(state.fd, head, note, (size_t)n)) {
			state.n_dropped++;
			return;
		}
		state.n_dropped = 0;
	}
	if (!write_line(state.fd, head, text, len))
		state.n_dropped++;
}

void log_line(enum log_level level, const char *format, ...)
{
	char raw[LINE_MAX_BYTES / 2], text[LINE_MAX_BYTES], head[64];
	int saved = errno;
	va_list args;
	size_t len;

	if (level > state.level)
		return;
	if (!state.checked) {
		state.to_journal = getenv("JOURNAL_STREAM") != NULL;
		state.checked = true;
	}
	va_start(args, format);
	if (vsnprintf(raw, sizeof(raw), format, args) < 0)
		raw[0] = '\0';
	va_end(args);
	len = escape(text, sizeof(text), raw);
	(void)stamp(head, sizeof(head), level);
	(void)write_line(STDERR_FILENO, state.to_journal ? levels[level].journal_priority : head,
			 text, len);
	if (state.fd >= 0)
		write_file(head, text, len);
	errno = saved;
}
