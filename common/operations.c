#include "common/operations.h"

#include <string.h>

#include "common/requests.h"

const struct operation operations[N_OPERATIONS] = {
#define OPERATION(id_, name_, method_, path_, body_, who_, echo_, help_)                           \
	{.id = OPERATION_##id_,                                                                    \
	 .name = name_,                                                                            \
	 .method = #method_,                                                                       \
	 .path = path_,                                                                            \
	 .body = BODY_##body_,                                                                     \
	 .who = CALLER_##who_,                                                                     \
	 .echo = echo_,                                                                            \
	 .help = help_,                                                                            \
	 .params = &id_##_params},
#include "common/operations.def"
#undef OPERATION
};

/* What the programs of a session have printed is their owner's: it does not go over a broker. */
const struct operation operation_get_session_log = {
	.id = N_OPERATIONS,
	.name = "GetSessionLog",
	.method = "POST",
	.path = "/getSessionLog",
	.body = BODY_OBJECT,
	.who = CALLER_OWNER,
	.echo = "",
	.help = "Show the story of a session",
	.params = &get_session_log_params,
};

static bool has_path(const struct operation *op, const char *path)
{
	if (op->body == BODY_PATH)
		return strncmp(path, op->path, strlen(op->path)) == 0;
	return strcmp(path, op->path) == 0;
}

bool operation_is(const struct operation *op, const char *method, const char *path)
{
	return strcmp(op->method, method) == 0 && has_path(op, path);
}

const struct operation *operation_find(const char *method, const char *path, const char **ret_allow,
				       struct error *err)
{
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		const struct operation *op = &operations[i];

		if (!has_path(op, path))
			continue;
		if (strcmp(op->method, method) == 0)
			return op;
		*ret_allow = op->method;
		(void)error_set(err, ERR_METHOD, "%s takes %s, not %s", op->path, op->method,
				method);
		return NULL;
	}
	(void)error_set(err, ERR_NOT_FOUND, "no operation at '%s'", path);
	return NULL;
}

const struct operation *operation_find_name(const char *name)
{
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	}
	return NULL;
}

bool operation_only_reads(const struct operation *op)
{
	return op->id == OPERATION_describe_sessions || op->id == OPERATION_describe_servers ||
	       op->id == OPERATION_get_session_screenshots;
}

const char *operation_failure_code(const struct operation *op, enum error_code code)
{
	if (op->id != OPERATION_open_servers && op->id != OPERATION_close_servers)
		return NULL;
	switch (code) {
	case ERR_NOT_FOUND:
		return "DCV_SERVER_NOT_FOUND";
	case ERR_CONFLICT:
		return "DCV_SERVER_HAS_SESSIONS";
	default:
		return "DCV_SERVER_ERROR";
	}
}
