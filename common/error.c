#include "common/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One table gives every code its name on the wire, its HTTP status and its exit status. */
static const struct {
	const char *wire_name;
	int http_status;
	int exit_status;
} codes[ERR_CODE_COUNT] = {
	[ERR_NONE] = {"NONE", 200, 0},
	[ERR_INVALID] = {"INVALID", 400, 1},
	[ERR_UNAUTHORIZED] = {"UNAUTHORIZED", 401, 1},
	[ERR_DENIED] = {"DENIED", 403, 1},
	[ERR_NOT_FOUND] = {"NOT_FOUND", 404, 1},
	[ERR_METHOD] = {"METHOD", 405, 1},
	[ERR_CONFLICT] = {"CONFLICT", 409, 1},
	[ERR_TOO_LARGE] = {"TOO_LARGE", 413, 1},
	[ERR_LIMIT] = {"LIMIT", 429, 1},
	[ERR_UNSUPPORTED] = {"UNSUPPORTED", 400, 1},
	[ERR_SYSTEM] = {"SYSTEM", 500, 1},
	[ERR_NO_MEMORY] = {"NO_MEMORY", 500, 1},
	[ERR_UNAVAILABLE] = {"UNAVAILABLE", 503, 1},
	[ERR_STORE] = {"STORE", 503, 1},
	[ERR_UNREACHABLE] = {"UNREACHABLE", 503, 1},
	[ERR_TIMEOUT] = {"TIMEOUT", 503, 1},
	[ERR_CONFIG] = {"CONFIG", 500, 1},
	[ERR_USAGE] = {"USAGE", 500, 2},
};

static void format_message(char *ret, size_t size, const char *format, va_list args)
{
	if (vsnprintf(ret, size, format, args) < 0)
		ret[0] = '\0';
}

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
	char message[sizeof(err->message)]; /* the arguments may point into err */
	int saved = errno;
	va_list args;

	assert(code > ERR_NONE && code < ERR_CODE_COUNT);
	va_start(args, format);
	format_message(message, sizeof(message), format, args);
	va_end(args);
	err->code = code;
	memcpy(err->message, message, sizeof(message));
	errno = saved;
	return -1;
}

static enum error_code code_from_errno(int number)
{
	switch (number) {
	case ENOENT:
	case ESRCH:
		return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	case ENOMEM:
		return ERR_NO_MEMORY;
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return ERR_UNREACHABLE;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	default:
		return ERR_SYSTEM;
	}
}

int error_errno(struct error *err, const char *format, ...)
{
	char message[sizeof(err->message)];
	int saved = errno;
	va_list args;

	va_start(args, format);
	format_message(message, sizeof(message), format, args);
	va_end(args);
	(void)error_set(err, code_from_errno(saved), "%s: %s", message, strerror(saved));
	errno = saved;
	return -1;
}

int error_oom(struct error *err)
{
	return error_set(err, ERR_NO_MEMORY, "out of memory");
}

int error_prefix(struct error *err, const char *format, ...)
{
	char prefix[sizeof(err->message)];
	va_list args;

	va_start(args, format);
	format_message(prefix, sizeof(prefix), format, args);
	va_end(args);
	return error_set(err, err->code, "%s: %s", prefix, err->message);
}

bool error_blames_request(enum error_code code)
{
	return code == ERR_INVALID || code == ERR_DENIED || code == ERR_NOT_FOUND ||
	       code == ERR_UNSUPPORTED || code == ERR_TOO_LARGE;
}

int error_blame_host(struct error *err)
{
	if (error_blames_request(err->code))
		err->code = ERR_SYSTEM;
	return -1;
}

const char *error_wire_name(enum error_code code)
{
	return codes[code].wire_name;
}

enum error_code error_find_wire_name(const char *name)
{
	for (int code = ERR_NONE + 1; name && code < ERR_CODE_COUNT; code++) {
		if (strcmp(codes[code].wire_name, name) == 0)
			return (enum error_code)code;
	}
	return ERR_NONE;
}

enum error_code error_from_wire_name(const char *name)
{
	enum error_code code = error_find_wire_name(name);

	return code == ERR_NONE ? ERR_SYSTEM : code;
}

int error_http_status(enum error_code code)
{
	return codes[code].http_status;
}

int error_exit_status(enum error_code code)
{
	return codes[code].exit_status;
}
