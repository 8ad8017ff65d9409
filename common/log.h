/**
 * The log of a program: one line is a fact, then its particulars.
 *
 *     log_info("session %s closed (owner=%s, clients=0)", id, owner);
 *
 * error: someone must act. warning: odd, we went on. info: the life of sessions and peers.
 * debug: for us. Whoever handles an error logs it, once; libraries return errors instead.
 * Control characters, line ends and Unicode direction marks that peers put into a text are escaped
 * here, so a caller need not. errno survives every call. Secrets are never passed to these
 * functions. From the main thread only.
 *
 * Lines go to standard error and, when it is open, to a file. Where standard error is the journal
 * (the service manager says so in JOURNAL_STREAM) the line goes there as an entry of its own, with
 * the fields of log_event(). One vocabulary serves both: who wants to tell one of these particulars
 * names it in the line as the first column says.
 *
 *     request=     DCV_REQUEST_ID    RequestId of the call that this belongs to
 *     client=      DCV_CLIENT        id of the client, or name of the user, who called
 *     operation=   DCV_OPERATION     such as CreateSessions
 *     session=     DCV_SESSION       its id
 *     server=      DCV_SERVER        its id
 *     result=      DCV_RESULT        HTTP status, a session's new state, or the name of an error
 *     ms=          DCV_MILLISECONDS  how long it took, such as 1.204
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

#include "common/error.h"
#include "common/log-file.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** Until this is called, lines of level info and up go to standard error. */
void log_set_level(enum log_level level);

/** Level from its name ("error", "warning", "info", "debug"); false if it is none of them. */
bool log_level_from_name(const char *name, enum log_level *ret_level);

/** Are lines of this level written? For those whose making costs. */
bool log_has_level(enum log_level level);

/**
 * Write lines to @directory/@name as well as to standard error.
 *
 * A line that cannot be written, for instance because the disk is full, is counted and dropped:
 * logging never stops the program. The count is told in the first line that can be written again.
 */
int log_open_file(const char *directory, const char *name, const struct log_rotation *rotation,
		  struct error *err);

/**
 * Keep the lines of now for the file that log_open_file() will open: what is wrong with the settings is
 * told before they say where the file is. As many as there is room for.
 */
void log_hold(void);

/** How many lines the file has lost since the program was started. */
unsigned long log_n_dropped(void);

/**
 * The text with characters that would end the line or speak to a terminal as \xNN, as the log shows it: for
 * what strangers say. It is cut to @size; its length.
 */
size_t log_escape(char *ret, size_t size, const char *text);

/** Open the file again under its name, after somebody has moved it away. */
void log_reopen_file(void);
void log_close(void);

/**
 * Have every line, with its characters escaped and without time and level, told to @listener as well;
 * NULL: to nobody any more. The listener does not log.
 */
void log_set_listener(void (*listener)(enum log_level level, const char *text, void *userdata),
		      void *userdata);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Particulars for the journal, borrowed. What is NULL, "" or 0 is not told. */
struct log_fields {
	const char *request_id, *client, *operation, *session, *server, *result;
	unsigned long long microseconds;
};

#define LOG_FIELDS(...) (&(const struct log_fields){__VA_ARGS__})

/** log_line() with fields; the line itself is as @format says. */
void log_event(enum log_level level, const struct log_fields *fields, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** Milliseconds as "1.204". */
void log_format_ms(unsigned long long microseconds, char *ret, size_t size);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
