#include "common/requests.h"

#include "common/operations.h"

#include <limits.h>
#include <string.h>

#include "common/cleanup.h"

#define TABLE(id, type)                                                                            \
	const struct param_table id##_params = {id##_fields, ARRAY_SIZE(id##_fields),              \
						sizeof(struct type)}
#define AT(type, field) .offset = offsetof(struct type, field)

#define NAME_MAX_CHARACTERS 256

#define VIRTUAL "VIRTUAL"
static const char *const session_types[] = {"CONSOLE", VIRTUAL, NULL};

#define C create_session_request
static const struct param create_sessions_fields[] = {
	{"Name", .type = PARAM_STRING, .required = true, .max = NAME_MAX_CHARACTERS, AT(C, name)},
	{"Owner", .type = PARAM_STRING, .required = true, AT(C, owner)},
	{"Type", .type = PARAM_CHOICE, .required = true, .choices = session_types, AT(C, type)},
	{"InitFile", .type = PARAM_STRING, .only_for = VIRTUAL, AT(C, init_file)},
	{"InitFilePath", .type = PARAM_STRING, .only_for = VIRTUAL, AT(C, init_file_path)},
	{"MaxConcurrentClients", "MaxConcurrents", PARAM_INTEGER, .min = 1, .max = INT_MAX,
	 AT(C, max_concurrent_clients)},
	{"DcvGlEnabled", "DcvGLEnabled", PARAM_BOOLEAN, .only_for = VIRTUAL, AT(C, dcv_gl_enabled),
	 .given = offsetof(struct C, has_dcv_gl_enabled)},
	{"PermissionsFile", "PermissionFile", PARAM_STRING, AT(C, permissions_file)},
	{"EnqueueRequest", .type = PARAM_BOOLEAN, AT(C, enqueue_request)},
	{"AutorunFile", .type = PARAM_STRING, AT(C, autorun_file)},
	{"AutorunFileArguments", .type = PARAM_TEXTS, .only_for = VIRTUAL, .needs = "AutorunFile",
	 AT(C, autorun_file_arguments)},
	{"DisableRetryOnFailure", .type = PARAM_BOOLEAN, AT(C, disable_retry_on_failure)},
	{"Requirements", .type = PARAM_STRING, AT(C, requirements)},
	{"StorageRoot", .type = PARAM_STRING, AT(C, storage_root)},
};
TABLE(create_sessions, create_session_request);
#undef C

static const char *const filter_keys[] = {"owner", FILTER_TAG "*", NULL};

static const struct param filter_fields[] = {
	{"Key", .type = PARAM_STRING, .required = true, .forms = filter_keys, AT(filter, key)},
	{"Value", .type = PARAM_STRING, .required = true, .may_be_empty = true, AT(filter, value)},
};
TABLE(filter, filter);

static const struct param describe_sessions_fields[] = {
	{"SessionIds", .type = PARAM_STRINGS, AT(describe_sessions_request, session_ids)},
	{"Filters", .type = PARAM_OBJECTS, .sub = &filter_params,
	 AT(describe_sessions_request, filters)},
	{"MaxResults", .type = PARAM_INTEGER, .min = 1, .max = RESULTS_MAX,
	 AT(describe_sessions_request, max_results)},
	{"NextToken", .type = PARAM_STRING, AT(describe_sessions_request, next_token)},
};
TABLE(describe_sessions, describe_sessions_request);

static const struct param delete_sessions_fields[] = {
	{"SessionId", .type = PARAM_STRING, .required = true,
	 AT(delete_session_request, session_id)},
	{"Owner", .type = PARAM_STRING, .required = true, AT(delete_session_request, owner)},
	{"Force", .type = PARAM_BOOLEAN, AT(delete_session_request, force)},
};
TABLE(delete_sessions, delete_session_request);

static const struct param update_session_permissions_fields[] = {
	{"SessionId", .type = PARAM_STRING, .required = true,
	 AT(update_session_permissions_request, session_id)},
	{"Owner", .type = PARAM_STRING, .required = true,
	 AT(update_session_permissions_request, owner)},
	{"PermissionsFile", "PermissionFile", PARAM_STRING, .required = true,
	 AT(update_session_permissions_request, permissions_file)},
};
TABLE(update_session_permissions, update_session_permissions_request);

static const struct param get_session_connection_data_fields[] = {
	{"SessionId", .type = PARAM_STRING, .required = true,
	 AT(get_session_connection_data_request, session_id)},
	{"User", .type = PARAM_STRING, .required = true,
	 AT(get_session_connection_data_request, user)},
};
TABLE(get_session_connection_data, get_session_connection_data_request);

static const struct param get_session_log_fields[] = {
	{"SessionId", .type = PARAM_STRING, .required = true,
	 AT(get_session_log_request, session_id)},
};
TABLE(get_session_log, get_session_log_request);

static const struct param get_session_screenshots_fields[] = {
	{"SessionId", .type = PARAM_STRING, .required = true,
	 AT(get_session_screenshot_request, session_id)},
	{"MaxWidth", .type = PARAM_INTEGER, .min = 1, .max = LLONG_MAX,
	 AT(get_session_screenshot_request, max_width)},
	{"MaxHeight", .type = PARAM_INTEGER, .min = 1, .max = LLONG_MAX,
	 AT(get_session_screenshot_request, max_height)},
};
TABLE(get_session_screenshots, get_session_screenshot_request);

static const struct param describe_servers_fields[] = {
	{"ServerIds", .type = PARAM_STRINGS, AT(describe_servers_request, server_ids)},
	{"MaxResults", .type = PARAM_INTEGER, .min = 1, .max = RESULTS_MAX,
	 AT(describe_servers_request, max_results)},
	{"NextToken", .type = PARAM_STRING, AT(describe_servers_request, next_token)},
};
TABLE(describe_servers, describe_servers_request);

static const struct param open_servers_fields[] = {
	{"ServerId", .type = PARAM_STRING, .required = true, AT(open_server_request, server_id)},
};
TABLE(open_servers, open_server_request);

static const struct param close_servers_fields[] = {
	{"ServerId", .type = PARAM_STRING, .required = true, AT(close_server_request, server_id)},
	{"Force", .type = PARAM_BOOLEAN, AT(close_server_request, force)},
};
TABLE(close_servers, close_server_request);

int create_session_check(const struct create_session_request *r, long long arguments_max,
			 long long argument_max, struct error *err)
{
	size_t n = json_array_size(r->autorun_file_arguments);

	if (params_check_scope(&create_sessions_params, r, r->type, err) < 0)
		return -1;
	if (n > (size_t)arguments_max)
		return error_set(err, ERR_INVALID,
				 "AutorunFileArguments: at most %lld arguments allowed",
				 arguments_max);
	for (size_t i = 0; i < n; i++) {
		const json_t *text = json_array_get(r->autorun_file_arguments, i);

		if (params_count_characters(json_string_value(text)) > (size_t)argument_max)
			return error_set(err, ERR_INVALID,
					 "AutorunFileArguments: at most %lld characters allowed in "
					 "an argument",
					 argument_max);
	}
	return 0;
}

void request_subject(const struct operation *op, const void *fields, const char **ret_session_id,
		     const char **ret_server_id)
{
	*ret_session_id = *ret_server_id = NULL;
	switch (op->id) {
	case OPERATION_delete_sessions:
		*ret_session_id = ((const struct delete_session_request *)fields)->session_id;
		break;
	case OPERATION_update_session_permissions:
		*ret_session_id =
			((const struct update_session_permissions_request *)fields)->session_id;
		break;
	case OPERATION_get_session_connection_data:
		*ret_session_id =
			((const struct get_session_connection_data_request *)fields)->session_id;
		break;
	case OPERATION_get_session_screenshots:
		*ret_session_id =
			((const struct get_session_screenshot_request *)fields)->session_id;
		break;
	case OPERATION_open_servers:
		*ret_server_id = ((const struct open_server_request *)fields)->server_id;
		break;
	case OPERATION_close_servers:
		*ret_server_id = ((const struct close_server_request *)fields)->server_id;
		break;
	default:
		break;
	}
}
