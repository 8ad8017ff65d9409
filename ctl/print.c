#include "ctl/print.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/text.h"
#include "ctl/table.h"
#include "ctl/visible.h"

#define SHORT_TEXT PRINT_TIME_SIZE

/* --- cells -------------------------------------------------------------------------------------
 */

static const char *whole_number(const json_t *value, char ret[SHORT_TEXT])
{
	if (!json_is_integer(value))
		return NULL;
	(void)snprintf(ret, SHORT_TEXT, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return ret;
}

const char *print_time(const char *text, char ret[PRINT_TIME_SIZE])
{
	long long ms;

	if (!text || !time_parse(text, &ms))
		return text;
	time_format(ms, ret);
	ret[strlen("2026-03-02")] = ' ';
	ret[strlen("2026-03-02 08:00:11")] = '\0';
	return ret;
}

static const char *first_text(const char *a, const char *b, const char *c)
{
	return a && *a ? a : b && *b ? b : c;
}

/* --- sessions ----------------------------------------------------------------------------------
 */

static int add_session(struct table *table, const json_t *session, struct error *err)
{
	const json_t *server = json_object_get(session, "Server");
	const char *state = json_get_text(session, "State");
	const char *substate = json_get_text(session, "Substate");
	const char *reason = json_get_text(session, "StateReason");
	char connections[SHORT_TEXT], created[SHORT_TEXT];
	AUTO(buf_done) struct buf both = {0}, note = {0};

	if (state && substate && buf_printf(&both, err, "%s/%s", state, substate) < 0)
		return -1;
	if (reason && *reason && buf_printf(&note, err, "reason: %s", reason) < 0)
		return -1;
	return table_add(
		table,
		(const char *[]){
			json_get_text(session, "Id"), json_get_text(session, "Name"),
			json_get_text(session, "Owner"), json_get_text(session, "Type"),
			both.data ? both.data : state,
			first_text(json_get_text(server, "Hostname"), json_get_text(server, "Ip"),
				   json_get_text(server, "Id")),
			whole_number(json_object_get(session, "NumOfConnections"), connections),
			print_time(json_get_text(session, "CreationTime"), created)},
		note.data, err);
}

#define SESSION_HEADS                                                                              \
	{                                                                                          \
		"ID", "NAME", "OWNER", "TYPE", "STATE", "SERVER", "CONNECTIONS", "CREATED (UTC)"   \
	}

/* --- servers -----------------------------------------------------------------------------------
 */

static const char *session_count(const json_t *server, char ret[SHORT_TEXT])
{
	const json_t *console = json_object_get(server, "ConsoleSessionCount");
	const json_t *virtual = json_object_get(server, "VirtualSessionCount");

	if (!json_is_integer(console) && !json_is_integer(virtual))
		return NULL;
	(void)snprintf(ret, SHORT_TEXT, "%.0f",
		       json_number_value(console) + json_number_value(virtual));
	return ret;
}

static const char *load_text(const json_t *server, char ret[SHORT_TEXT])
{
	const json_t *host = json_object_get(server, "Host");
	const json_t *load = json_object_get(json_object_get(host, "CpuLoadAverage"), "OneMinute");

	if (!json_is_number(load))
		return NULL;
	(void)snprintf(ret, SHORT_TEXT, "%.2f", json_number_value(load));
	return ret;
}

static int add_server(struct table *table, const json_t *server, struct error *err)
{
	char sessions[SHORT_TEXT], load[SHORT_TEXT];

	return table_add(
		table,
		(const char *[]){json_get_text(server, "Id"), json_get_text(server, "Hostname"),
				 json_get_text(server, "Ip"), json_get_text(server, "Availability"),
				 json_get_text(server, "UnavailabilityReason"),
				 session_count(server, sessions), json_get_text(server, "Version"),
				 load_text(server, load)},
		NULL, err);
}

#define SERVER_HEADS                                                                               \
	{                                                                                          \
		"ID", "HOSTNAME", "IP", "AVAILABILITY", "REASON", "SESSIONS", "VERSION", "LOAD"    \
	}

/* --- screenshots -------------------------------------------------------------------------------
 */

/* How many bytes padded base64 stands for. */
static size_t decoded_length(const char *data)
{
	size_t len = data ? strlen(data) : 0, n_padding = 0;

	while (n_padding < len && data[len - 1 - n_padding] == '=')
		n_padding++;
	return (len - n_padding) * 3 / 4;
}

static int add_image(struct table *table, const char *id, size_t number, const json_t *image,
		     struct error *err)
{
	char number_text[SHORT_TEXT], bytes[SHORT_TEXT], created[SHORT_TEXT];

	(void)snprintf(number_text, sizeof(number_text), "%zu", number);
	(void)snprintf(bytes, sizeof(bytes), "%zu", decoded_length(json_get_text(image, "Data")));
	return table_add(
		table,
		(const char *[]){id, number_text, json_get_text(image, "Format"),
				 json_is_true(json_object_get(image, "Primary")) ? "yes" : "no",
				 bytes, print_time(json_get_text(image, "CreationTime"), created)},
		NULL, err);
}

static int add_screenshot(struct table *table, const json_t *success, struct error *err)
{
	const json_t *screenshot = json_object_get(success, "SessionScreenshot");
	const char *id = json_get_text(screenshot, "SessionId");
	json_t *image;
	size_t i;

	json_array_foreach(json_object_get(screenshot, "Images"), i, image)
	{
		if (add_image(table, id, i + 1, image, err) < 0)
			return -1;
	}
	return 0;
}

#define SCREENSHOT_HEADS                                                                           \
	{                                                                                          \
		"SESSION", "IMAGE", "FORMAT", "PRIMARY", "BYTES", "CREATED (UTC)"                  \
	}

/* --- lists of objects as tables ----------------------------------------------------------------
 */

static int print_list(struct table *table, const json_t *list,
		      int (*add)(struct table *table, const json_t *item, struct error *err),
		      struct buf *out, struct error *err)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (add(table, item, err) < 0)
			return -1;
	}
	return table_print(table, out, err);
}

/* --- connection data ---------------------------------------------------------------------------
 */

/* The caller makes the URL. Source: the API reference, "Session URLs and the connection token". */
static int url_of(const json_t *answer, const char *scheme, struct buf *url, struct error *err)
{
	const json_t *session = json_object_get(answer, "Session");
	const json_t *server = json_object_get(session, "Server");
	const char *ip = json_get_text(server, "Ip"), *port = json_get_text(server, "Port");
	const char *path = json_get_text(server, "WebUrlPath"), *id = json_get_text(session, "Id");
	const char *token = json_get_text(answer, "ConnectionToken");
	bool is_v6 = ip && strchr(ip, ':');

	if (!ip || !port || strcmp(port, "0") == 0 || !id || !token)
		return 0; /* no way leads there */
	return buf_printf(url, err, "%s://%s%s%s:%s%s?authToken=%s#%s", scheme, is_v6 ? "[" : "",
			  ip, is_v6 ? "]" : "", port, path && *path ? path : "/", token, id);
}

int print_url(const json_t *answer, struct buf *out, struct error *err)
{
	AUTO(buf_done) struct buf url = {0};

	if (url_of(answer, "https", &url, err) < 0)
		return -1;
	if (!url.data)
		return error_set(err, ERR_UNAVAILABLE,
				 "nothing shows sessions of that host in a browser: is "
				 "dcv-session-viewer running there?");
	if (visible_append(out, url.data, NULL, err) < 0)
		return -1;
	return buf_append_text(out, "\n", err);
}

static int print_fact(const char *what, const char *text, struct buf *out, struct error *err)
{
	if (buf_printf(out, err, "%-8s", what) < 0 ||
	    visible_append(out, text && *text ? text : "-", NULL, err) < 0)
		return -1;
	return buf_append_text(out, "\n", err);
}

static int print_connection(const json_t *answer, struct buf *out, struct error *err)
{
	const json_t *session = json_object_get(answer, "Session");
	AUTO(buf_done) struct buf web = {0}, native = {0};

	if (url_of(answer, "https", &web, err) < 0 || url_of(answer, "dcv", &native, err) < 0 ||
	    print_fact("Session", json_get_text(session, "Id"), out, err) < 0 ||
	    print_fact("Name", json_get_text(session, "Name"), out, err) < 0 ||
	    print_fact("State", json_get_text(session, "State"), out, err) < 0 ||
	    print_fact("Token", json_get_text(answer, "ConnectionToken"), out, err) < 0 ||
	    print_fact("Browser", web.data, out, err) < 0)
		return -1;
	return print_fact("Client", native.data, out, err);
}

/* --- elements that succeeded -------------------------------------------------------------------
 */

/* "session ID " or "server ID ", then what became of it. */
static int print_success(const struct operation *op, const json_t *success, struct buf *out,
			 struct error *err)
{
	const char *session =
		first_text(json_get_text(success, "SessionId"), json_get_text(success, "Id"), NULL);
	const char *id = first_text(session, json_get_text(success, "ServerId"), "-");
	const char *state = json_get_text(success, "State"), *words = NULL;

	switch (op->id) {
	case OPERATION_update_session_permissions:
		words = "is getting its new permissions";
		break;
	case OPERATION_open_servers:
		words = "is open";
		break;
	case OPERATION_close_servers:
		words = "is closed";
		break;
	default:
		words = state ? state : "-";
	}
	if (buf_append_text(out, session ? "session " : "server ", err) < 0 ||
	    visible_append(out, id, NULL, err) < 0 || buf_append_text(out, " ", err) < 0 ||
	    visible_append(out, words, NULL, err) < 0)
		return -1;
	return buf_append_text(out, "\n", err);
}

static int print_successes(const struct operation *op, const json_t *list, struct buf *out,
			   struct error *err)
{
	json_t *success;
	size_t i;

	json_array_foreach(list, i, success)
	{
		if (print_success(op, success, out, err) < 0)
			return -1;
	}
	return 0;
}

/* --- elements that failed ----------------------------------------------------------------------
 */

json_t *print_failures_of(const json_t *answer)
{
	return json_object_get(answer, "UnsuccessfulList");
}

int print_failure(const struct operation *op, const json_t *failure, struct buf *out,
		  struct error *err)
{
	const json_t *echo = json_object_get(failure, op->echo);
	const json_t *request = json_is_object(echo) ? echo : failure;
	const char *session = first_text(json_get_text(request, "SessionId"),
					 json_get_text(request, "Name"), NULL);
	const char *code = json_get_text(failure, "FailureCode");
	const char *reason = json_get_text(failure, "FailureReason");

	return buf_printf(out, err, "%s %s: %s%s%s%s", session ? "session" : "server",
			  first_text(session, json_get_text(request, "ServerId"), "-"),
			  first_text(reason, "no reason given", NULL), code ? " (" : "",
			  code ? code : "", code ? ")" : "");
}

/* --- all ---------------------------------------------------------------------------------------
 */

int print_next_page(const json_t *answer, struct buf *out, struct error *err)
{
	const char *token = json_get_text(answer, "NextToken");

	if (!token || !*token)
		return 0;
	if (buf_append_text(out, "There are more: --next-token=", err) < 0 ||
	    visible_append(out, token, NULL, err) < 0)
		return -1;
	return buf_append_text(out, "\n", err);
}

/* The member that holds what @op is asked for. */
static const char *main_member(const struct operation *op)
{
	switch (op->id) {
	case OPERATION_describe_sessions:
		return "Sessions";
	case OPERATION_describe_servers:
		return "Servers";
	case OPERATION_get_session_connection_data:
		return "Session";
	default:
		return "SuccessfulList";
	}
}

int print_answer(const struct operation *op, const json_t *answer, struct buf *out,
		 struct error *err)
{
	AUTO(table_done) struct table sessions = {.heads = SESSION_HEADS};
	AUTO(table_done) struct table servers = {.heads = SERVER_HEADS};
	AUTO(table_done) struct table screenshots = {.heads = SCREENSHOT_HEADS};
	const json_t *member = json_object_get(answer, main_member(op));

	if (op->body == BODY_PATH ? !json_is_object(member) : !json_is_array(member))
		return error_set(err, ERR_INVALID, "the answer has no %s", main_member(op));
	switch (op->id) {
	case OPERATION_get_session_connection_data:
		return print_connection(answer, out, err);
	case OPERATION_get_session_screenshots:
		return print_list(&screenshots, member, add_screenshot, out, err);
	case OPERATION_describe_sessions:
		if (print_list(&sessions, member, add_session, out, err) < 0)
			return -1;
		return print_next_page(answer, out, err);
	case OPERATION_describe_servers:
		if (print_list(&servers, member, add_server, out, err) < 0)
			return -1;
		return print_next_page(answer, out, err);
	default:
		return print_successes(op, member, out, err);
	}
}
