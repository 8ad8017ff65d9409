#include "agent/session-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/sentence.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

#define TEXT_MAX_BYTES 1500
#define FIRST_KEPT 2 /* who asked, and for what */

/* --- what the agent has to tell ----------------------------------------------------------------
 */

static void format_line(char *ret, size_t size, const char *source, const char *text)
{
	char time[TIME_SIZE], safe[TEXT_MAX_BYTES];

	time_format(time_now_ms(), time);
	(void)log_escape(safe, sizeof(safe), text);
	(void)snprintf(ret, size, "%s %s: %s", time, source, safe);
	sentence_make_valid(ret);
}

void session_log_add(struct session *session, const char *source, const char *format, ...)
{
	char text[TEXT_MAX_BYTES], line[TEXT_MAX_BYTES + TIME_SIZE + 16];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	format_line(line, sizeof(line), source, text);
	if (!session->log)
		session->log = json_array();
	(void)json_array_append_new(session->log, json_string(line)); /* without memory: not told */
	if (json_array_size(session->log) > SESSION_LOG_LINES_MAX)
		(void)json_array_remove(session->log, FIRST_KEPT);
}

/* --- the keeper's file -------------------------------------------------------------------------
 */

/* The end of a file that is too large, from the beginning of a line on. */
static int read_end(const char *path, struct buf *ret, bool *ret_is_cut, struct error *err)
{
	AUTO(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	const char *line_end;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "open %s", path);
	*ret_is_cut = st.st_size > (off_t)SESSION_LOG_FILE_MAX_BYTES;
	if (*ret_is_cut && lseek(fd, st.st_size - (off_t)SESSION_LOG_FILE_MAX_BYTES, SEEK_SET) < 0)
		return error_errno(err, "read %s", path);
	/* It may grow while it is read. */
	if (file_read_open(fd, path, 2 * SESSION_LOG_FILE_MAX_BYTES, ret, err) < 0)
		return -1;
	line_end = *ret_is_cut ? memchr(ret->data, '\n', ret->len) : NULL;
	if (line_end) {
		size_t n = (size_t)(line_end + 1 - ret->data);

		memmove(ret->data, ret->data + n, ret->len - n + 1); /* with its NUL */
		ret->len -= n;
	}
	return 0;
}

/* --- both --------------------------------------------------------------------------------------
 */

/* A line; its parts are borrowed from the text that it was taken from. */
struct line {
	const char *time, *source, *text;
};

/* Take the next line, whose end becomes a NUL. False: there is none. One without a time, which a full
 * disk can leave, is part of nothing. */
static bool take_line(char **at, struct line *ret)
{
	long long ms;

	while (*at && **at) {
		char *line = *at, *end = strchr(line, '\n'), *blank, *colon;

		*at = end ? end + 1 : NULL;
		if (end)
			*end = '\0';
		blank = strchr(line, ' ');
		colon = blank ? strstr(blank, ": ") : NULL;
		if (!colon)
			continue;
		*blank = *colon = '\0';
		*ret = (struct line){line, blank + 1, colon + 2};
		if (time_parse(line, &ms))
			return true;
	}
	return false;
}

static int append_line(struct buf *ret, const struct line *line, bool is_first, struct error *err)
{
	json_auto_t *object = NULL;

	sentence_make_valid((char *)(size_t)line->source);
	sentence_make_valid((char *)(size_t)line->text);
	object = json_pack("{s:s,s:s,s:s}", "Time", line->time, "Source", line->source, "Text",
			   line->text);
	if (!object)
		return error_oom(err);
	if (!is_first && buf_append_text(ret, ",", err) < 0)
		return -1;
	return json_append(ret, object, err);
}

/* Within a millisecond a request comes before what the keeper does, and what becomes of the session
 * after it. */
static bool comes_first(const struct line *own, const struct line *keepers)
{
	int order = strcmp(own->time, keepers->time);

	return order < 0 || (order == 0 && strcmp(own->source, "agent") != 0);
}

static int append_lines(struct buf *ret, char *own, char *file, struct error *err)
{
	struct line a, b;
	bool has_a = take_line(&own, &a), has_b = take_line(&file, &b);

	for (bool is_first = true; has_a || has_b; is_first = false) {
		bool is_own = has_a && (!has_b || comes_first(&a, &b));

		if (append_line(ret, is_own ? &a : &b, is_first, err) < 0)
			return -1;
		if (is_own)
			has_a = take_line(&own, &a);
		else
			has_b = take_line(&file, &b);
	}
	return 0;
}

int session_log_merge(const char *session_id, const char *own, const char *path, struct buf *ret,
		      struct error *err)
{
	AUTO(buf_done) struct buf lines = {0}, file = {0};
	bool is_cut = false;
	struct error problem;

	if (buf_append_text(&lines, own, err) < 0 ||
	    buf_append_text(ret, "{\"SessionId\":", err) < 0 ||
	    json_append_string(ret, session_id, err) < 0 ||
	    buf_append_text(ret, ",\"Lines\":[", err) < 0)
		return -1;
	if (read_end(path, &file, &is_cut, &problem) < 0) {
		char line[TEXT_MAX_BYTES + 64];

		format_line(line, sizeof(line), "agent", problem.message);
		if (buf_printf(&lines, err, "%s\n", line) < 0)
			return -1;
	} else if (is_cut) {
		/* With the time of what comes next. */
		AUTO(free_p) char *whole = buf_steal(&file);

		if (buf_printf(&file, err, "%.24s agent: earlier lines are in %s only\n%s", whole,
			       path, whole) < 0)
			return -1;
	}
	if (append_lines(ret, lines.data, file.data, err) < 0)
		return -1;
	return buf_append_text(ret, "]}", err);
}

/* --- the answer --------------------------------------------------------------------------------
 */

struct reading {
	struct list link; /* session_log_desk::readings */
	char *reader;     /* NULL: of no concern */
	char *session_id, *path;
	struct buf own, text;
	struct answer *answer;
	struct error err;
	bool has_failed;
};

static void reading_free(struct reading *r)
{
	if (!r)
		return;
	list_remove(&r->link);
	free(r->reader);
	free(r->session_id);
	free(r->path);
	buf_done(&r->own);
	buf_done(&r->text);
	free(r);
}

static void reading_free_p(struct reading **r)
{
	reading_free(*r);
}

static void do_read(void *userdata)
{
	struct reading *r = userdata;

	r->has_failed = session_log_merge(r->session_id, r->own.data, r->path, &r->text, &r->err) <
			0;
}

static void on_read(void *userdata)
{
	struct reading *r = userdata;

	list_remove(&r->link); /* whoever is answered may ask again */
	if (r->has_failed)
		answer_fail(r->answer, &r->err);
	else
		answer_succeed(r->answer, &r->text);
	reading_free(r);
}

static int fill(struct reading *r, const struct session *session, const char *folder,
		struct error *err)
{
	/* Sessions that others made have no keeper, and their ids may be anything but a file's name. */
	r->session_id = strdup(session->id);
	if (session->is_host_made)
		r->path = strdup("");
	else if (asprintf(&r->path, "%s/%s.log", folder, session->id) < 0)
		r->path = NULL;
	if (!r->session_id || !r->path)
		return error_oom(err);
	if (buf_append_text(&r->own, "", err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(session->log); i++) {
		if (buf_printf(&r->own, err, "%s\n",
			       json_string_value(json_array_get(session->log, i))) < 0)
			return -1;
	}
	return 0;
}

static bool is_reading(const struct session_log_desk *desk, const char *reader)
{
	list_for_each (r, &desk->readings, struct reading, link) {
		if (reader && r->reader && strcmp(r->reader, reader) == 0)
			return true;
	}
	return false;
}

static int begin(struct session_log_desk *desk, const struct session *session, const char *reader,
		 struct answer *answer, struct error *err)
{
	AUTO(reading_free_p) struct reading *r = calloc(1, sizeof(*r));

	if (is_reading(desk, reader))
		return error_set(err, ERR_LIMIT,
				 "another log is being read for user %s; ask again after it",
				 reader);
	if (!r)
		return error_oom(err);
	r->answer = answer;
	r->reader = reader ? strdup(reader) : NULL;
	if (reader && !r->reader)
		return error_oom(err);
	if (fill(r, session, desk->folder, err) < 0 ||
	    loop_work(desk->loop, do_read, on_read, r, err) < 0)
		return -1;
	list_append(&desk->readings, &TAKE(r)->link); /* on_read's */
	return 0;
}

void session_log_answer(struct session_log_desk *desk, const struct session *session,
			const char *reader, struct answer *answer)
{
	struct error err;

	if (begin(desk, session, reader, answer, &err) < 0)
		answer_fail(answer, &err);
}
