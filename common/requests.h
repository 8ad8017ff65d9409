/**
 * What each operation is asked: one struct per operation, filled by params_read() from the object,
 * or from one element, of the body. Strings and lists are borrowed from the JSON.
 * Source: the API reference, "Operations".
 */
#ifndef COMMON_REQUESTS_H
#define COMMON_REQUESTS_H

#include <jansson.h>
#include <stdbool.h>

#include "common/params.h"

struct create_session_request {
	const char *name;
	const char *owner;
	const char *type; /* "CONSOLE" or "VIRTUAL" */
	const char *init_file;
	const char *init_file_path;       /* the deprecated form, which may be absolute */
	long long max_concurrent_clients; /* 0: not given */
	bool dcv_gl_enabled, has_dcv_gl_enabled;
	const char *permissions_file; /* base64 */
	bool enqueue_request;
	const char *autorun_file;
	json_t *autorun_file_arguments;
	bool disable_retry_on_failure;
	const char *requirements;
	const char *storage_root;
};

/**
 * What no platform and no setting of a server could make right: fields that a CONSOLE session does
 * not have, and the limits of AutorunFileArguments. These are told for the entry, not for the call.
 *
 * @arguments_max: most arguments; @argument_max: characters in one
 */
int create_session_check(const struct create_session_request *request, long long arguments_max,
			 long long argument_max, struct error *err);

/** Those limits where no setting says otherwise. */
#define AUTORUN_ARGUMENTS_MAX 50
#define AUTORUN_ARGUMENT_MAX 150

struct describe_sessions_request {
	json_t *session_ids;
	json_t *filters;       /* objects of struct filter */
	long long max_results; /* 0: not given */
	const char *next_token;
};

/** A key is "owner", or FILTER_TAG and the key of a tag. */
#define FILTER_TAG "tag:"

struct filter {
	const char *key, *value;
};

struct delete_session_request {
	const char *session_id;
	const char *owner;
	bool force;
};

struct update_session_permissions_request {
	const char *session_id;
	const char *owner;
	const char *permissions_file; /* base64 */
};

/** Taken from the path, as {"SessionId", "User"}. */
struct get_session_connection_data_request {
	const char *session_id;
	const char *user;
};

/** Not of the API: see operation_get_session_log. */
struct get_session_log_request {
	const char *session_id;
};
extern const struct param_table get_session_log_params;

struct get_session_screenshot_request {
	const char *session_id;
	long long max_width, max_height; /* pixels; 0: not given */
};

struct describe_servers_request {
	json_t *server_ids;
	long long max_results; /* 0: not given */
	const char *next_token;
};

struct open_server_request {
	const char *server_id;
};

struct close_server_request {
	const char *server_id;
	bool force;
};

struct operation;

/** Which session or server a request of @op is about; NULL: none, or many, or one yet to be made. */
void request_subject(const struct operation *op, const void *fields, const char **ret_session_id,
		     const char **ret_server_id);

/** Items on one page of a describe operation, and entries in one request. */
#define RESULTS_MAX 1000
#define ELEMENTS_MAX 1000

extern const struct param_table filter_params;
#define OPERATION(id, name, method, path, body, who, echo, help)                                   \
	extern const struct param_table id##_params;
#include "common/operations.def"
#undef OPERATION

#endif
