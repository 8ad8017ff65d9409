/**
 * What a session's programs print: read from pipes and put line by line into LOG_DIR/ID.log, each
 * line with its program's prefix. A stream may write OUTPUT_STREAM_MAX_BYTES; what comes after, and
 * what the disk has no room for, is read and dropped, so no program ever waits for its output.
 */
#ifndef AGENT_KEEPER_OUTPUT_H
#define AGENT_KEEPER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

#define OUTPUT_STREAM_MAX_BYTES (1024 * 1024)
#define OUTPUT_LINE_MAX_BYTES 2048 /* longer ones are broken */
#define OUTPUT_LOGS_MAX 100

struct output {
	const char *prefix; /* borrowed: "x: " */
	int fd;             /* reading end, -1 once closed */
	int log_fd;         /* borrowed */
	size_t n_written;
	size_t line_len;
	char line[OUTPUT_LINE_MAX_BYTES];
	char last_line[256]; /* for reasons */
};

/**
 * Open the log of a session, remove the oldest of others if there are too many. @group may read.
 * The file is locked as long as it is open, which keeps it from being removed as old.
 */
int output_open_log(const char *folder, const char *session_id, gid_t group, int *ret_fd,
		    struct error *err);

/** Begin to read a pipe; *ret_write_fd is for the program and belongs to the caller. */
int output_init(struct output *output, const char *prefix, int log_fd, int *ret_write_fd,
		struct error *err);

/** Read what is there, not more than a bit. Closes output->fd at the end of the stream. */
void output_read(struct output *output);

/** Read what is there now, then close, whoever else still holds the pipe. */
void output_done(struct output *output);

/** Put bytes through the line splitter; output_read() without the reading. */
void output_add(struct output *output, const char *bytes, size_t len);

#endif
