/* The one piece of global state in the project: a log has no owner that could be passed down to
 * every place that has something to say, and a process has one standard error anyway. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

#define LINE_MAX_BYTES 4096
#define HELD_MAX_BYTES 65536

static struct {
	enum log_level level;
	struct log_file file;
	char *held; /* of log_hold(); NULL: nothing is kept */
	size_t held_len;
	bool to_journal; /* standard error is the journal */
	bool checked;
	void (*listener)(enum log_level level, const char *text, void *userdata);
	void *listener_userdata;
} state = {.level = LOG_LEVEL_INFO, .file = LOG_FILE_NONE};

static const struct {
	const char *name;
	int priority; /* of syslog */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", LOG_ERR},
	[LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
	[LOG_LEVEL_INFO] = {"info", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

void log_set_listener(void (*listener)(enum log_level level, const char *text, void *userdata),
		      void *userdata)
{
	state.listener = listener;
	state.listener_userdata = userdata;
}

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

bool log_has_level(enum log_level level)
{
	return level <= state.level;
}

/* --- the file ----------------------------------------------------------------------------------
 */

int log_open_file(const char *directory, const char *name, const struct log_rotation *rotation,
		  struct error *err)
{
	if (log_file_open(&state.file, directory, name, rotation, err) < 0)
		return -1;
	if (state.held_len > 0)
		log_file_write(&state.file, time(NULL), state.held, state.held_len);
	free(state.held);
	state.held = NULL;
	state.held_len = 0;
	return 0;
}

void log_hold(void)
{
	if (!state.held)
		state.held = malloc(HELD_MAX_BYTES);
}

static void hold(const char *line, size_t len)
{
	if (len > HELD_MAX_BYTES - state.held_len)
		return;
	memcpy(state.held + state.held_len, line, len);
	state.held_len += len;
}

void log_reopen_file(void)
{
	struct error err;

	if (state.file.path && log_file_reopen(&state.file, &err) < 0)
		log_error("%s", err.message);
}

void log_close(void)
{
	log_file_close(&state.file);
	free(state.held);
	state.held = NULL;
	state.held_len = 0;
}

unsigned long log_n_dropped(void)
{
	return state.file.n_dropped;
}

/* --- the text ----------------------------------------------------------------------------------
 */

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

size_t log_escape(char *ret, size_t size, const char *text)
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

static size_t stamp(char *ret, size_t size, const struct timespec *now, enum log_level level)
{
	struct tm utc;
	size_t n;

	(void)gmtime_r(&now->tv_sec, &utc);
	n = strftime(ret, size, "%Y-%m-%d %H:%M:%S", &utc);
	return n + (size_t)snprintf(ret + n, size - n, ",%03ld %-7s ", now->tv_nsec / 1000000,
				    levels[level].name);
}

/* A line with its end; its length. */
static size_t make_line(char *ret, size_t size, const char *head, const char *text)
{
	int n = snprintf(ret, size, "%s%s\n", head, text);

	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

static void write_file(const struct timespec *now, const char *head, const char *line, size_t len)
{
	struct log_file *file = &state.file;
	char note[128], text[64];

	if (file->n_untold > 0) {
		(void)snprintf(text, sizeof(text), "%lu lines could not be written",
			       file->n_untold);
		if (log_file_try(file, now->tv_sec, note,
				 make_line(note, sizeof(note), head, text)))
			file->n_untold = 0;
	}
	log_file_write(file, now->tv_sec, line, len);
}

/* --- the journal -------------------------------------------------------------------------------
 */

/* The service manager names the journal's stream to its services, and to all that they start; some of
 * these have another standard error. */
static bool is_journal(const char *stream)
{
	unsigned long long device, inode;
	struct stat st;
	char end;

	return stream && sscanf(stream, "%llu:%llu%c", &device, &inode, &end) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

struct journal_entry {
	struct iovec parts[12];
	char *owned[12];
	int n;
};

static void journal_add(struct journal_entry *entry, const char *key, const char *value)
{
	char *text;

	if (!value || !*value || asprintf(&text, "%s=%s", key, value) < 0)
		return;
	entry->owned[entry->n] = text;
	entry->parts[entry->n++] = (struct iovec){text, strlen(text)};
}

static bool write_journal(enum log_level level, const struct log_fields *fields, const char *text)
{
	struct journal_entry entry = {.n = 0};
	char priority[16], milliseconds[32] = "";
	int result;

	(void)snprintf(priority, sizeof(priority), "%d", levels[level].priority);
	journal_add(&entry, "MESSAGE", text);
	journal_add(&entry, "PRIORITY", priority);
	if (fields) {
		if (fields->microseconds > 0)
			log_format_ms(fields->microseconds, milliseconds, sizeof(milliseconds));
		journal_add(&entry, "DCV_REQUEST_ID", fields->request_id);
		journal_add(&entry, "DCV_CLIENT", fields->client);
		journal_add(&entry, "DCV_OPERATION", fields->operation);
		journal_add(&entry, "DCV_SESSION", fields->session);
		journal_add(&entry, "DCV_SERVER", fields->server);
		journal_add(&entry, "DCV_RESULT", fields->result);
		journal_add(&entry, "DCV_MILLISECONDS", milliseconds);
	}
	result = sd_journal_sendv(entry.parts, entry.n);
	for (int i = 0; i < entry.n; i++)
		free(entry.owned[i]);
	return result == 0;
}

static void write_stderr(enum log_level level, const struct log_fields *fields, const char *text,
			 const char *line, size_t len)
{
	char marked[LINE_MAX_BYTES + 64], head[8];

	if (!state.checked) {
		state.to_journal = is_journal(getenv("JOURNAL_STREAM"));
		state.checked = true;
	}
	if (state.to_journal) {
		if (write_journal(level, fields, text))
			return;
		(void)snprintf(head, sizeof(head), "<%d>", levels[level].priority);
		len = make_line(marked, sizeof(marked), head, text);
		line = marked;
	}
	/* One write per line, so that lines of several processes do not mix. */
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nobody is left to be told */
}

/* --- the way in --------------------------------------------------------------------------------
 */

void log_format_ms(unsigned long long microseconds, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%llu.%03llu", microseconds / 1000, microseconds % 1000);
}

static void log_text(enum log_level level, const struct log_fields *fields, const char *format,
		     va_list args)
{
	char raw[LINE_MAX_BYTES / 2], text[LINE_MAX_BYTES], head[64], line[LINE_MAX_BYTES + 64];
	struct timespec now;
	size_t len;

	if (vsnprintf(raw, sizeof(raw), format, args) < 0)
		raw[0] = '\0';
	(void)log_escape(text, sizeof(text), raw);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)stamp(head, sizeof(head), &now, level);
	len = make_line(line, sizeof(line), head, text);
	write_stderr(level, fields, text, line, len);
	if (state.listener)
		state.listener(level, text, state.listener_userdata);
	if (state.file.fd >= 0)
		write_file(&now, head, line, len);
	else if (state.held)
		hold(line, len);
}

void log_line(enum log_level level, const char *format, ...)
{
	int saved = errno;
	va_list args;

	if (!log_has_level(level))
		return;
	va_start(args, format);
	log_text(level, NULL, format, args);
	va_end(args);
	errno = saved;
}

void log_event(enum log_level level, const struct log_fields *fields, const char *format, ...)
{
	int saved = errno;
	va_list args;

	if (!log_has_level(level))
		return;
	va_start(args, format);
	log_text(level, fields, format, args);
	va_end(args);
	errno = saved;
}
