/**
 * Errors: a code that the program acts on, and a sentence that a person reads.
 *
 * A function that can fail returns 0 or -1, takes `struct error *err` last, and writes its ret_
 * parameters only on success. error_set() always returns -1, so failing is one line; each caller
 * adds where with error_prefix(), none repeats what:
 *
 *     return error_prefix(err, "start session '%s'", id);
 *
 * The error is a plain value: it owns nothing and is never freed. @err is never NULL.
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

#include <stdbool.h>

enum error_code {
	ERR_NONE,
	ERR_INVALID,      /* what the peer or the user gave is wrong, whatever our state */
	ERR_UNAUTHORIZED, /* the caller did not show who they are */
	ERR_DENIED,       /* we know the caller, and they may not */
	ERR_NOT_FOUND,
	ERR_METHOD,      /* right path, wrong HTTP method */
	ERR_CONFLICT,    /* not possible in the present state of the thing named */
	ERR_TOO_LARGE,   /* a size limit of ours was passed */
	ERR_LIMIT,       /* a count limit was reached: full, throttled */
	ERR_UNSUPPORTED, /* understood, and not something this host or program can do */
	ERR_SYSTEM,      /* a system call or library failed */
	ERR_NO_MEMORY,
	ERR_UNAVAILABLE, /* not now: starting, stopping */
	ERR_STORE,       /* what would have to outlive us cannot be written now */
	ERR_UNREACHABLE, /* no connection to who would have to answer */
	ERR_TIMEOUT,     /* connected, but no answer in time */
	ERR_CONFIG,      /* a setting is missing or wrong */
	ERR_USAGE,       /* the command line is wrong */
	ERR_CODE_COUNT
};

struct error {
	enum error_code code;
	char message[400]; /* cut short rather than allocated */
};

/** Set code and sentence. Always returns -1. The message may quote err->message itself. */
int error_set(struct error *err, enum error_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** error_set() with ": " and strerror(errno) at the end; the code follows from errno. Returns -1.
 */
int error_errno(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Out of memory. Returns -1. */
int error_oom(struct error *err);

/** Put "text: " before the sentence; code unchanged. Returns -1. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * Whether the code says that what was asked for is wrong or not allowed, and nothing of the host
 * that was to do it: ERR_INVALID, ERR_DENIED, ERR_NOT_FOUND, ERR_UNSUPPORTED and ERR_TOO_LARGE.
 */
bool error_blames_request(enum error_code code);

/**
 * The host is at fault, whatever the code says: what could not be found, for instance, is a part of
 * the host and not what was asked for. A code that blames the request becomes ERR_SYSTEM. Returns
 * -1.
 */
int error_blame_host(struct error *err);

/** The code's name on the broker link, such as "NOT_FOUND". */
const char *error_wire_name(enum error_code code);

/** The code of a wire name, never ERR_NONE; ERR_SYSTEM for one that we do not know. */
enum error_code error_from_wire_name(const char *name);

/** The same, ERR_NONE for one that we do not know, and for NULL. */
enum error_code error_find_wire_name(const char *name);

/** HTTP status that tells a client of this code. */
int error_http_status(enum error_code code);

/** Exit status of a daemon or tool that ends with this code (1, or 2 for ERR_USAGE). */
int error_exit_status(enum error_code code);

#endif
