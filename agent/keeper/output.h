/**
 * The log of a session, LOG_DIR/ID.log: a line for everything that its keeper has to tell, and for
 * every line that its programs print, which is read from pipes. A line is
 *
 *     2026-03-02T08:00:11.042Z init: text
 *
 * with the time, the source and the text, in which control characters are written as \xNN. A stream
 * may write OUTPUT_STREAM_MAX_BYTES; what comes after, and what the disk has no room for, is read
 * and dropped, so no program ever waits for its output. A log of OUTPUT_LOG_MOST_BYTES takes no more
 * of it, however many programs there are. A session that is tried again goes on with the log it has,
 * until that is larger than OUTPUT_LOG_MAX_BYTES.
 */
#ifndef AGENT_KEEPER_OUTPUT_H
#define AGENT_KEEPER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

#define OUTPUT_STREAM_MAX_BYTES (1024 * 1024)
#define OUTPUT_LINE_MAX_BYTES 2048 /* longer ones are broken */
#define OUTPUT_LOG_MAX_BYTES (4 * OUTPUT_STREAM_MAX_BYTES)
#define OUTPUT_LOG_MOST_BYTES (2 * OUTPUT_LOG_MAX_BYTES)
#define OUTPUT_LOGS_MAX 100
#define OUTPUT_TAIL_LINES 3
#define OUTPUT_TAIL_LINE_MAX_BYTES 200 /* longer ones are cut, for the tail only */

struct output {
	const char *source; /* borrowed: "x" */
	int fd;             /* reading end, -1 once closed */
	int log_fd;         /* borrowed */
	size_t n_written;
	size_t line_len;
	char line[OUTPUT_LINE_MAX_BYTES];
	char tail[OUTPUT_TAIL_LINES][OUTPUT_TAIL_LINE_MAX_BYTES + 1]; /* in turn; for reasons */
	size_t n_lines;                                               /* that are not empty */
};

/**
 * Open the log of a session, remove the oldest of others if there are too many. @group may read.
 * The file is locked as long as it is open, which keeps it from being removed as old.
 */
int output_open_log(const char *folder, const char *session_id, gid_t group, int *ret_fd,
		    struct error *err);

/** Write one line, now. Without a log (@log_fd is -1) nothing happens. */
void output_tell(int log_fd, const char *source, const char *text);

/** Begin to read a pipe; *ret_write_fd is for the program and belongs to the caller. */
int output_init(struct output *output, const char *source, int log_fd, int *ret_write_fd,
		struct error *err);

/** Read what is there, not more than a bit. Closes output->fd at the end of the stream. */
void output_read(struct output *output);

/**
 * The last lines that are not empty, at most @n_max and OUTPUT_TAIL_LINES, with " | " between them;
 * "" if there are none. What is in the pipe is read before, and what has no line end yet is a line.
 */
void output_tail(struct output *output, size_t n_max, char *ret, size_t size);

/** Read what is there now, then close, whoever else still holds the pipe. */
void output_done(struct output *output);

/** Put bytes through the line splitter; output_read() without the reading. */
void output_add(struct output *output, const char *bytes, size_t len);

#endif
