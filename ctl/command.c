#include "ctl/command.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/requests.h"
#include "ctl/check-permissions.h"
#include "ctl/doctor.h"
#include "ctl/print-idle.h"
#include "ctl/print-log.h"
#include "ctl/print.h"

#define IDS .is_positional = true, .value = "ID[,ID...]"
#define SESSION_ID                                                                                 \
	"session-id", .field = "SessionId", .is_positional = true, .value = "ID",                  \
		      .help = "the session"
#define OWNER                                                                                      \
	"owner", .field = "Owner", .is_user_by_default = true, .value = "USER",                    \
		 .help = "who the session is for"
#define NEXT_TOKEN                                                                                 \
	"next-token", .field = "NextToken", .value = "TOKEN",                                      \
		      .help = "show the page that the answer before named"
#define MAX_RESULTS "max-results", .field = "MaxResults", .value = "N", .help = "size of a page"

static const struct option_spec create_sessions_options[] = {
	{"name", .field = "Name", .is_positional = true, .value = "NAME",
	 .help = "a name for people"},
	{OWNER},
	{"type", .field = "Type", .fallback = "virtual", .value = "console|virtual",
	 .help = "the host's own screen, or one of its own"},
	{"init-file-path", .field = "InitFile", .value = "FILE",
	 .help = "script that starts the session, in the agent's init folder"},
	{"autorun-file", .field = "AutorunFile", .value = "FILE",
	 .help = "program run inside the session, in the agent's autorun folder"},
	{"autorun-file-arguments", .field = "AutorunFileArguments", .value = "ARG[,ARG...]",
	 .help = "its arguments; '\\,' is a comma; may be repeated"},
	{"max-concurrent-clients", "max-concurrents-clients max_concurrent-clients",
	 "MaxConcurrentClients", .max = 100, .value = "N",
	 .help = "how many may be connected at once"},
	{"dcv-gl-enabled", .field = "DcvGlEnabled", .help = "OpenGL by the graphics card"},
	{"permissions-file", "permission-file", "PermissionsFile", OPTION_FILE_OR_TEXT,
	 .value = "FILE", .help = "who may do what in the session: [@]FILE, or its base64"},
	{"requirements", .field = "Requirements", .value = "TEXT",
	 .help = "what the server must be like, as in \"tag:rack = 'c1'\""},
	{"storage-root", .field = "StorageRoot", .value = "FOLDER",
	 .help = "folder for file transfer"},
	{"enqueue-request", .field = "EnqueueRequest", .kind = OPTION_LOOSE_FLAG,
	 .help = "wait for a server if none is free"},
	{"disable-retry-on-failure", .field = "DisableRetryOnFailure",
	 .help = "do not try another server if the first one fails"},
	{"wait", .kind = OPTION_FLAG, .program = PROGRAM_DCVCTL,
	 .help = "return when the session is ready"},
	{"wait-timeout", .kind = OPTION_INTEGER, .program = PROGRAM_DCVCTL, .min = 1, .max = 86400,
	 .value = "SECONDS", .help = "how long to wait at most (600)"},
};

static const struct option_spec describe_sessions_options[] = {
	{"session-ids", IDS, .field = "SessionIds", .help = "these sessions only"},
	{"owner", .field = "Filters", .kind = OPTION_OWNER, .value = "USER",
	 .help = "sessions of this owner only"},
	{"details", .kind = OPTION_FLAG, .program = PROGRAM_DCVCTL,
	 .help = "show all that is known of each, and how its programs run or have ended"},
	{"filter", .field = "Filters", .kind = OPTION_FILTER, .value = "KEY=VALUE",
	 .help = "KEY is 'owner' or 'tag:NAME' of the server; may be repeated"},
	{NEXT_TOKEN},
	{MAX_RESULTS},
};

static const struct option_spec delete_sessions_options[] = {
	{SESSION_ID},
	{OWNER},
	{"force", .field = "Force", .help = "forget it even if its host cannot confirm"},
};

static const struct option_spec update_session_permissions_options[] = {
	{SESSION_ID},
	{OWNER},
	{"permission-file", "permissions-file", "PermissionsFile", OPTION_FILE,
	 .is_positional = true, .value = "FILE", .help = "who may do what in the session"},
};

static const struct option_spec get_session_connection_data_options[] = {
	{SESSION_ID},
	{"user", .field = "User", .is_positional = true, .is_user_by_default = true,
	 .value = "USER", .help = "who will connect"},
};

static const struct option_spec get_session_screenshots_options[] = {
	{"session-ids", IDS, .field = "SessionId", .kind = OPTION_EACH, .help = "the sessions"},
	{"max-width", .field = "MaxWidth", .value = "PIXELS", .help = "bound of the width"},
	{"max-height", .field = "MaxHeight", .value = "PIXELS", .help = "bound of the height"},
	{"output-dir", .kind = OPTION_TEXT, .program = PROGRAM_DCVCTL, .value = "FOLDER",
	 .help = "write the images there, as ID-N.FORMAT"},
};

static const struct option_spec describe_servers_options[] = {
	{"server-ids", IDS, .field = "ServerIds", .help = "these servers only"},
	{NEXT_TOKEN},
	{MAX_RESULTS},
};

static const struct option_spec open_servers_options[] = {
	{"server-ids", IDS, .field = "ServerId", .kind = OPTION_EACH, .help = "the servers"},
};

static const struct option_spec close_servers_options[] = {
	{"server-ids", IDS, .field = "ServerId", .kind = OPTION_EACH, .help = "the servers"},
	{"force", .field = "Force", .help = "although sessions run there; they go on"},
};

static const struct option_spec describe_idle_options[] = {
	{"session-ids", IDS, .field = "SessionIds", .help = "these sessions only"},
	{"owner", .field = "Filters", .kind = OPTION_OWNER, .value = "USER",
	 .help = "sessions of this owner only"},
};

static const struct option_spec logs_options[] = {
	{SESSION_ID},
};

static const char *const unknown_feature_choices[] = {"error", "warn", NULL};
static const char *const outputs[] = {"table", "json", NULL};

static const struct option_spec check_permissions_options[] = {
	{"file", .kind = OPTION_TEXT, .is_required = true, .is_positional = true, .value = "FILE",
	 .help = "the permission file"},
	{"user", .kind = OPTION_TEXT, .value = "USER", .help = "show what this user may do"},
	{"owner", .kind = OPTION_TEXT, .value = "USER",
	 .help = "who owns the session; without --user, show what they may do"},
	{"all", .kind = OPTION_FLAG, .help = "show what is not allowed, too, and by which line"},
	{"ignore-case", .kind = OPTION_FLAG,
	 .help = "names of users and groups are compared as Windows does"},
	{"unknown-feature", .kind = OPTION_CHOICE, .choices = unknown_feature_choices,
	 .value = "error|warn", .help = "what a feature that we do not know is (error)"},
	{"output", .kind = OPTION_CHOICE, .choices = outputs, .value = "table|json",
	 .help = "as the general option"},
};

static const struct option_spec doctor_options[] = {
	{"owner", .kind = OPTION_TEXT, .value = "USER",
	 .help = "also try whether this user could have a session"},
	{"json", .kind = OPTION_FLAG, .help = "print the findings as JSON"},
	{"agent-conf", .kind = OPTION_TEXT, .value = "FILE",
	 .help = "the agent's settings (/etc/dcv-session-manager-agent/agent.conf)"},
	{"socket", .kind = OPTION_TEXT, .value = "PATH", .help = "the agent's socket"},
	{"state-dir", .kind = OPTION_TEXT, .value = "FOLDER", .help = "as the agent's"},
	{"agent-user", .kind = OPTION_TEXT, .value = "USER",
	 .help = "as the keeper's (dcvsmagent)"},
	{"keeper-socket", .kind = OPTION_TEXT, .value = "PATH", .help = "as the agent's"},
	{"keeper-log-dir", .kind = OPTION_TEXT, .value = "FOLDER",
	 .help = "as the keeper's --log-dir"},
	{"pam-dir", .kind = OPTION_TEXT, .value = "FOLDER", .help = "as the keeper's"},
	{"xserver", .kind = OPTION_TEXT, .value = "PROGRAM", .help = "as the keeper's (Xvnc)"},
};

const struct command commands[N_COMMANDS] = {
#define OPERATION(id_, name, method, path, body, who, echo, help_)                                 \
	{.op = &operations[OPERATION_##id_],                                                       \
	 .id = #id_,                                                                               \
	 .help = help_,                                                                            \
	 .options = {id_##_options, ARRAY_SIZE(id_##_options), &id_##_params}},
#include "common/operations.def"
#undef OPERATION
	{.op = &operations[OPERATION_get_session_connection_data],
	 .id = "connect",
	 .help = "Print the address that opens a session in a browser",
	 .options = {get_session_connection_data_options,
		     ARRAY_SIZE(get_session_connection_data_options),
		     &get_session_connection_data_params},
	 .print = print_url},
	{.id = "check_permissions",
	 .help = "Find what is wrong with a permission file, or show what it allows",
	 .options = {check_permissions_options, ARRAY_SIZE(check_permissions_options), NULL},
	 .run = check_permissions},
	{.id = "doctor",
	 .help = "Find what keeps this host from holding sessions, and say what to do; exit "
		 "status 0: nothing, 1: warnings, 2: errors",
	 .options = {doctor_options, ARRAY_SIZE(doctor_options), NULL},
	 .run = doctor},
	{.op = &operations[OPERATION_describe_sessions],
	 .id = "describe_idle",
	 .help = "Show which sessions of this host are idle, and when they will be ended",
	 .options = {describe_idle_options, ARRAY_SIZE(describe_idle_options),
		     &describe_sessions_params},
	 .print = print_idle,
	 .is_local = true},
	{.op = &operation_get_session_log,
	 .id = "logs",
	 .help = "Show the story of a session: requests, keeper, PAM, X server, init and autorun "
		 "file",
	 .options = {logs_options, ARRAY_SIZE(logs_options), &get_session_log_params},
	 .print = print_log,
	 .is_local = true},
};

bool command_is_for(const struct command *command, enum program program)
{
	return command < commands + N_OPERATIONS || program == PROGRAM_DCVCTL;
}

/* Two operations take many sessions where their command takes one. */
void command_name(const struct command *command, char ret[COMMAND_NAME_SIZE])
{
	size_t n = (size_t)snprintf(ret, COMMAND_NAME_SIZE, "%s", command->id);

	for (char *p = ret; *p; p++) {
		if (*p == '_')
			*p = '-';
	}
	if (command->op && (command->op->id == OPERATION_create_sessions ||
			    command->op->id == OPERATION_delete_sessions))
		ret[n - 1] = '\0';
}

const struct command *command_find(enum program program, const char *name)
{
	char own[COMMAND_NAME_SIZE];

	for (size_t i = 0; i < N_COMMANDS; i++) {
		command_name(&commands[i], own);
		if (command_is_for(&commands[i], program) && strcmp(own, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* Two options may fill one list. */
static int set_field(json_t *fields, const char *name, json_t *value)
{
	json_t *present = json_object_get(fields, name);

	if (json_is_array(present))
		return json_array_extend(present, value);
	if (json_is_array(value))
		return json_object_set_new(fields, name, json_copy(value));
	return json_object_set(fields, name, value);
}

static json_t *fields_of(const struct arguments *args)
{
	json_auto_t *fields = json_object();

	for (size_t i = 0; fields && i < args->table->n_specs; i++) {
		const char *name = args->table->specs[i].field;

		if (name && args->values[i] && set_field(fields, name, args->values[i]) < 0)
			return NULL;
	}
	return TAKE(fields);
}

/* One element, or one for each item of the list that says so. */
static json_t *elements_of(const struct arguments *args, json_t *fields)
{
	json_auto_t *elements = json_array();
	const char *each = NULL;
	json_t *items, *item;
	size_t i;

	for (i = 0; i < args->table->n_specs; i++) {
		if (args->table->specs[i].kind == OPTION_EACH)
			each = args->table->specs[i].field;
	}
	if (!each)
		return json_array_append(elements, fields) < 0 ? NULL : TAKE(elements);
	items = json_object_get(fields, each);
	json_array_foreach(items, i, item)
	{
		json_t *element = json_copy(fields);

		if (json_array_append_new(elements, element) < 0 ||
		    json_object_set(element, each, item) < 0)
			return NULL;
	}
	return TAKE(elements);
}

static void curl_free_p(char **text)
{
	curl_free(*text);
}

/* The values of the path, in the order of the operation's table. */
static int path_of(const struct command *command, const json_t *fields, struct buf *path,
		   struct error *err)
{
	const struct param_table *params = command->op->params;

	if (buf_append_text(path, command->op->path, err) < 0)
		return -1;
	for (size_t i = 0; command->op->body == BODY_PATH && i < params->n_params; i++) {
		const char *text = json_get_text(fields, params->params[i].name);
		AUTO(curl_free_p) char *escaped = curl_easy_escape(NULL, text, 0);

		if (!escaped)
			return error_oom(err);
		if (buf_printf(path, err, "%s%s", i > 0 ? "/" : "", escaped) < 0)
			return -1;
	}
	return 0;
}

int command_request(const struct command *command, const struct arguments *args, char **ret_path,
		    struct buf *ret_body, struct error *err)
{
	AUTO(buf_done) struct buf path = {0};
	json_auto_t *fields = fields_of(args);
	json_auto_t *elements = NULL;

	if (!fields)
		return error_oom(err);
	if (path_of(command, fields, &path, err) < 0)
		return -1;
	if (command->op->body == BODY_ELEMENTS) {
		elements = elements_of(args, fields);
		if (!elements)
			return error_oom(err);
	}
	if (command->op->body != BODY_PATH &&
	    json_append(ret_body, elements ? elements : fields, err) < 0)
		return -1;
	*ret_path = buf_steal(&path);
	return *ret_path ? 0 : error_oom(err);
}
