/**
 * A file of lines that grows, rotates and never gets in the way: NAME, NAME.1 (the newest before it)
 * ... NAME.N.
 *
 * A file is rotated when a line would make it larger than it may be, and when its hour or day (UTC)
 * is over. Which one it belongs to is told by the time of its last line, so a file of yesterday is
 * rotated after a restart, too. A line that cannot be written, for instance because the disk is
 * full, is counted and dropped, and none is left half-written. Not for several threads at once.
 */
#ifndef COMMON_LOG_FILE_H
#define COMMON_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "common/error.h"

struct log_rotation {
	bool is_hourly; /* else daily */
	unsigned long long max_bytes;
	unsigned n_kept; /* rotated files; older ones are removed */
};

struct log_file {
	char *path; /* NULL: not open */
	int fd;
	struct log_rotation rotation;
	unsigned long long size;
	time_t period;           /* the beginning of the hour or day that its lines are of */
	time_t not_before;       /* rotation failed; it is not tried again until then */
	unsigned long n_dropped; /* since it was opened first */
	unsigned long n_untold;  /* of these: the owner sets it to 0 when it has told */
};

/** What must be there before anything else: no file is open. */
#define LOG_FILE_NONE                                                                              \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/** Open or make @directory/@name. Errors name the path. */
int log_file_open(struct log_file *file, const char *directory, const char *name,
		  const struct log_rotation *rotation, struct error *err);

/** Open it again under its name, after somebody has moved it away. On failure it goes on as it was. */
int log_file_reopen(struct log_file *file, struct error *err);

/** Write one line, its end included, or count it as dropped; without a file it is dropped. */
void log_file_write(struct log_file *file, time_t now, const char *line, size_t len);

/** The same for lines, one or several, that are counted elsewhere: false if they could not be written. */
bool log_file_try(struct log_file *file, time_t now, const char *line, size_t len);

/** @n lines could not be written, or not even be made. */
void log_file_drop(struct log_file *file, unsigned long n);

/** Harmless on one that is not open. The counts stay. */
void log_file_close(struct log_file *file);

#endif
