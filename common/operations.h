/** The nine operations of the API, from operations.def. */
#ifndef COMMON_OPERATIONS_H
#define COMMON_OPERATIONS_H

#include <stdbool.h>

#include "common/error.h"
#include "common/params.h"

enum operation_id {
#define OPERATION(id, name, method, path, body, who, echo, help) OPERATION_##id,
#include "common/operations.def"
#undef OPERATION
	N_OPERATIONS
};

enum operation_body { BODY_OBJECT, BODY_ELEMENTS, BODY_PATH };
enum operation_caller { CALLER_ANYBODY, CALLER_OWNER, CALLER_ADMIN };

struct operation {
	enum operation_id id;
	const char *name;   /* "CreateSessions", also the name on the broker link */
	const char *method; /* HTTP */
	const char *path;   /* ends in '/' for BODY_PATH */
	enum operation_body body;
	enum operation_caller who;
	const char *echo;
	const char *help;
	const struct param_table *params; /* fields of the object, or of one element */
};

extern const struct operation operations[N_OPERATIONS];

/** Not of the API: what the local socket of an agent serves beyond it. Its id is N_OPERATIONS. */
extern const struct operation operation_get_session_log;

/** Whether a request is one of @op, method and path. */
bool operation_is(const struct operation *op, const char *method, const char *path);

/**
 * The operation of an HTTP request. Errors: ERR_NOT_FOUND no such path, ERR_METHOD with
 * *ret_allow the one method of that path.
 */
const struct operation *operation_find(const char *method, const char *path, const char **ret_allow,
				       struct error *err);

/** By API name; NULL if there is none. */
const struct operation *operation_find_name(const char *name);

/** Does it change nothing, and let nobody in? */
bool operation_only_reads(const struct operation *op);

/** FailureCode of an error in a list that has such codes, else NULL. */
const char *operation_failure_code(const struct operation *op, enum error_code code);

#endif
