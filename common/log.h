/**
 * The log of a program: one line is a fact, then its particulars.
 *
 *     log_info("session %s closed (owner=%s, clients=0)", id, owner);
 *
 * error: someone must act. warning: odd, we went on. info: the life of sessions and peers.
 * debug: for us. Whoever handles an error logs it, once; libraries return errors instead.
 * Control characters, line ends and Unicode direction marks that peers put into a text are escaped
 * here, so a caller need not. errno survives every call. Secrets are never passed to these
 * functions.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

#include "common/error.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** Until this is called, lines of level info and up go to standard error. */
void log_set_level(enum log_level level);

/** Level from its name ("error", "warning", "info", "debug"); false if it is none of them. */
bool log_level_from_name(const char *name, enum log_level *ret_level);

/**
 * Write lines to @directory/@name as well as to standard error.
 *
 * A line that cannot be written, for instance because the disk is full, is counted and dropped:
 * logging never stops the program. The count is told in the first line that can be written again.
 */
int log_open_file(const char *directory, const char *name, struct error *err);

/** Open the file again under its name, after somebody has moved it away. */
void log_reopen_file(void);
void log_close(void);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
