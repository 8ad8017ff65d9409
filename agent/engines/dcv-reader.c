#include "agent/engines/dcv-reader.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/number.h"
#include "common/text.h"

/* --- every form that is accepted ---------------------------------------------------------------
 */

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define KEYS_LIST KEYS("sessions", "endpoints", "items", "list") /* of an object around a list */
#define KEYS_ID KEYS("id", "session-id", "sessionId")
#define KEYS_CONNECTIONS KEYS("num-of-connections", "connections", "numOfConnections")
#define KEYS_PROTOCOL KEYS("protocol", "type", "transport")
#define KEYS_ADDRESS KEYS("ip-address", "address", "ip", "host")
#define KEYS_PORT KEYS("port")
#define KEYS_PATH KEYS("web-url-path", "url-path", "path")
#define KEYS_PICTURE KEYS("base64", "data", "image")

static const struct {
	const char *name, *protocol;
} protocols[] = {
	{"http", "HTTP"}, {"https", "HTTP"}, {"ws", "HTTP"},   {"wss", "HTTP"},
	{"web", "HTTP"},  {"tcp", "HTTP"},   {"quic", "QUIC"}, {"udp", "QUIC"},
};

/* --- JSON --------------------------------------------------------------------------------------
 */

static const json_t *get(const json_t *object, const char *const *keys)
{
	const json_t *value = NULL;

	for (size_t i = 0; !value && keys[i]; i++)
		value = json_object_get(object, keys[i]);
	return value;
}

/* A whole number, which may be written as a text; @fallback for everything else. */
static long long number_of(const json_t *value, long long min, long long max, long long fallback)
{
	long long number = fallback;

	if (json_is_integer(value) && json_integer_value(value) >= min &&
	    json_integer_value(value) <= max)
		return json_integer_value(value);
	if (json_is_string(value))
		(void)number_parse(json_string_value(value), min, max, &number);
	return number;
}

/* The array that @root is, that an object holds, or that one object stands for; NULL: none. */
static json_t *list_of(json_t *root)
{
	const json_t *inner = get(root, KEYS_LIST);

	if (json_is_array(root))
		return json_incref(root);
	if (json_is_array(inner))
		return json_incref((json_t *)inner);
	return json_is_object(root) ? json_pack("[O]", root) : NULL;
}

static int parse_list(const char *text, size_t len, json_t **ret, struct error *err)
{
	json_auto_t *root = NULL;

	if (json_parse(text, len, &root, err) < 0)
		return -1;
	*ret = list_of(root);
	return *ret ? 0 : error_set(err, ERR_INVALID, "not a list");
}

/* --- sessions ----------------------------------------------------------------------------------
 */

static void session_free(struct dcv_session *session)
{
	if (!session)
		return;
	list_remove(&session->link);
	free(session->id);
	free(session->owner);
	free(session->user);
	free(session->name);
	free(session->storage_root);
	free(session);
}

static void session_free_p(struct dcv_session **session)
{
	session_free(*session);
}

/* Of the server; those that we make are a part of these. */
static bool is_id(const char *id)
{
	size_t len = strlen(id);

	if (len < 1 || len > 256 || id[0] == '-')
		return false;
	for (; *id; id++) {
		if (iscntrl((unsigned char)*id))
			return false;
	}
	return true;
}

/* Copy a text that has something in it. */
static int copy(char **ret, const char *text, struct error *err)
{
	*ret = text && text[0] ? strdup(text) : NULL;
	return *ret || !text || !text[0] ? 0 : error_oom(err);
}

static int append(struct dcv_sessions *sessions, const char *id, const char *owner,
		  const char *type, const char *name, struct dcv_session **ret, struct error *err)
{
	AUTO(session_free_p) struct dcv_session *s = NULL;

	if (!id || !is_id(id) || !owner || !owner[0] || !type ||
	    (strcasecmp(type, "console") != 0 && strcasecmp(type, "virtual") != 0))
		return error_set(err, ERR_INVALID, "not a session");
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_oom(err);
	list_init(&s->link);
	s->is_console = strcasecmp(type, "console") == 0;
	if (copy(&s->id, id, err) < 0 || copy(&s->owner, owner, err) < 0 ||
	    copy(&s->name, name, err) < 0)
		return -1;
	list_append(&sessions->sessions, &s->link);
	*ret = TAKE(s);
	return 0;
}

static int append_json(struct dcv_sessions *sessions, const json_t *object, struct error *err)
{
	const char *display = json_get_text(object, "x11-display");
	const char *created = json_get_text(object, "creation-time");
	const char *left = json_get_text(object, "last-disconnection-time");
	struct dcv_session *s;

	if (append(sessions, json_string_value(get(object, KEYS_ID)),
		   json_get_text(object, "owner"), json_get_text(object, "type"),
		   json_get_text(object, "name"), &s, err) < 0)
		return -1;
	s->n_connections = number_of(get(object, KEYS_CONNECTIONS), 0, 1000000, 0);
	s->has_display = display && display[0];
	if (created)
		(void)time_parse(created, &s->creation_time_ms);
	if (left && left[0])
		(void)time_parse(left, &s->disconnection_time_ms);
	if (copy(&s->user, json_get_text(object, "user"), err) < 0)
		return -1;
	return copy(&s->storage_root, json_get_text(object, "storage-root"), err);
}

static int read_json_sessions(const char *text, size_t len, struct dcv_sessions *ret,
			      struct error *err)
{
	json_auto_t *list = NULL;
	size_t i;
	const json_t *object;

	if (parse_list(text, len, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, object)
	{
		struct error problem;

		if (append_json(ret, object, &problem) == 0)
			continue;
		if (problem.code != ERR_INVALID) {
			*err = problem;
			return -1;
		}
		log_warning("dcv: entry %zu of the list of sessions cannot be understood", i);
		ret->is_partial = true;
	}
	return 0;
}

/* "OWNER type:TYPE)" or "OWNER type:TYPE name:'NAME')"; @rest is cut into its parts. */
static bool cut_rest(char *rest, char **ret_type, char **ret_name)
{
	char *type = strchr(rest, ' '), *end = type ? strchr(type + 1, ' ') : NULL;
	size_t len = strlen(rest);

	if (!type || strncmp(type, " type:", 6) != 0 || rest[len - 1] != ')')
		return false;
	rest[len - 1] = '\0';
	*ret_name = NULL;
	if (end) {
		len = strlen(end);
		if (len < 8 || strncmp(end, " name:'", 7) != 0 || end[len - 1] != '\'') {
			rest[strlen(rest)] = ')';
			return false;
		}
		end[len - 1] = '\0';
		*ret_name = end + 7;
		*end = '\0';
	}
	*type = '\0';
	*ret_type = type + 6;
	return true;
}

/* "Session: 'ID' (owner:OWNER ...)", the id with or without quotes. The first "(owner:" counts: a
 * name may contain others, and whoever chooses a name could choose an owner with it. */
static int append_line(struct dcv_sessions *sessions, char *line, struct error *err)
{
	char *id = line + strspn(line, " \t"), *rest = strstr(id, "(owner:"), *type, *name, *end;
	struct dcv_session *s;

	if (!rest || rest == id || !isspace((unsigned char)rest[-1]))
		return error_set(err, ERR_INVALID, "not a session");
	for (end = rest; end > id && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	if (end - id >= 2 && id[0] == '\'' && end[-1] == '\'') {
		end[-1] = '\0';
		id++;
	}
	rest += strlen("(owner:");
	if (!cut_rest(rest, &type, &name))
		return error_set(err, ERR_INVALID, "not a session");
	if (append(sessions, id, rest, type, name, &s, err) < 0)
		return -1;
	s->has_display = true; /* this form does not tell */
	return 0;
}

/* An empty list is a sentence that says so; other sentences are complaints. */
static int read_text_sessions(const char *text, size_t len, struct dcv_sessions *ret,
			      struct error *err)
{
	AUTO(buf_done) struct buf copied = {0};
	bool is_empty_list = false;
	char *state = NULL;

	if (buf_append(&copied, text, len, err) < 0)
		return -1;
	if (memchr(text, '\0', len) || !is_utf8(copied.data, len))
		return error_set(err, ERR_INVALID, "not a list of sessions");
	for (char *line = strtok_r(copied.data, "\r\n", &state); line;
	     line = strtok_r(NULL, "\r\n", &state)) {
		if (strncasecmp(line, "Session:", 8) == 0) {
			if (append_line(ret, line + 8, err) < 0) {
				if (err->code != ERR_INVALID)
					return -1;
				ret->is_partial = true;
			}
		} else if (strcasestr(line, "no sessions")) {
			is_empty_list = true;
		}
	}
	if (is_empty_list || !list_is_empty(&ret->sessions))
		return 0;
	return error_set(err, ERR_INVALID, "not a list of sessions");
}

int dcv_read_sessions(const char *text, size_t len, struct dcv_sessions *ret, struct error *err)
{
	size_t blank = 0;

	*ret = (struct dcv_sessions){0};
	list_init(&ret->sessions);
	while (blank < len && isspace((unsigned char)text[blank]))
		blank++;
	if (blank == len)
		return error_set(err, ERR_INVALID, "nothing where a list of sessions was expected");
	if (text[blank] == '[' || text[blank] == '{')
		return read_json_sessions(text, len, ret, err);
	return read_text_sessions(text, len, ret, err);
}

void dcv_sessions_done(struct dcv_sessions *sessions)
{
	if (!sessions->sessions.next)
		return;
	list_for_each_safe (s, &sessions->sessions, struct dcv_session, link)
		session_free(s);
}

/* --- endpoints ---------------------------------------------------------------------------------
 */

static const char *protocol_of(const json_t *object)
{
	const char *name = json_string_value(get(object, KEYS_PROTOCOL));

	for (size_t i = 0; name && i < ARRAY_SIZE(protocols); i++) {
		if (strcasecmp(name, protocols[i].name) == 0)
			return protocols[i].protocol;
	}
	return NULL;
}

/* An entry that names no protocol or port that the API knows is left out. */
static json_t *endpoint_of(const json_t *object)
{
	const char *protocol = protocol_of(object), *path;
	long long port = number_of(get(object, KEYS_PORT), 1, 65535, 0);
	json_t *endpoint;

	if (!protocol || port == 0)
		return NULL;
	endpoint = json_pack("{s:I,s:s}", "Port", (json_int_t)port, "Protocol", protocol);
	json_set_text(endpoint, "IpAddress", json_string_value(get(object, KEYS_ADDRESS)));
	if (strcmp(protocol, "HTTP") == 0) {
		path = json_string_value(get(object, KEYS_PATH));
		json_set_text(endpoint, "WebUrlPath", path && path[0] == '/' ? path : "/");
	}
	return endpoint;
}

int dcv_read_endpoints(const char *text, size_t len, json_t **ret, struct error *err)
{
	json_auto_t *list = NULL, *endpoints = json_array(), *others = json_array();
	size_t i;
	const json_t *object;

	if (parse_list(text, len, &list, err) < 0)
		return -1;
	json_array_foreach(list, i, object)
	{
		json_t *endpoint = endpoint_of(object);
		const char *protocol = json_get_text(endpoint, "Protocol");

		if (endpoint)
			(void)json_array_append_new(
				strcmp(protocol, "HTTP") == 0 ? endpoints : others, endpoint);
	}
	if (!endpoints || !others || json_array_extend(endpoints, others) < 0)
		return error_oom(err);
	if (json_array_size(endpoints) == 0)
		return error_set(err, ERR_INVALID, "no endpoint that can be understood");
	*ret = json_incref(endpoints);
	return 0;
}

#define CONFIG_SECTION "[connectivity]"
#define CONFIG_LINE_MAX 256
#define DEFAULT_PORT 8443

/* The value of "key = value", without quotes, if the line has that key. */
static char *config_value(char *line, const char *key)
{
	size_t len = strlen(key);
	char *value;

	if (strncmp(line, key, len) != 0)
		return NULL;
	value = line + len + strspn(line + len, " \t");
	if (*value != '=')
		return NULL;
	value++;
	value += strspn(value, " \t'\"");
	value[strcspn(value, " \t\r'\"")] = '\0';
	return value;
}

struct connectivity {
	long long web_port, quic_port;
	bool has_quic;
	char path[CONFIG_LINE_MAX];
};

static void take_config_line(struct connectivity *c, char *line)
{
	char *value;

	if ((value = config_value(line, "web-port")))
		(void)number_parse(value, 1, 65535, &c->web_port);
	else if ((value = config_value(line, "quic-port")))
		(void)number_parse(value, 1, 65535, &c->quic_port);
	else if ((value = config_value(line, "enable-quic-frontend")))
		c->has_quic = strcmp(value, "false") != 0;
	else if ((value = config_value(line, "web-url-path")) && value[0] == '/' &&
		 is_utf8(value, strlen(value)))
		(void)snprintf(c->path, sizeof(c->path), "%s", value);
}

int dcv_read_config_endpoints(const char *text, json_t **ret, struct error *err)
{
	struct connectivity c = {DEFAULT_PORT, DEFAULT_PORT, true, "/"};
	bool is_section = false;
	json_t *endpoints;

	for (size_t len; *text; text += len, text += *text == '\n') {
		char line[CONFIG_LINE_MAX];
		const char *start = text + strspn(text, " \t");

		len = strcspn(text, "\n");
		if ((size_t)(start - text) > len)
			start = text + len;
		(void)snprintf(line, sizeof(line), "%.*s", (int)(text + len - start), start);
		if (line[0] == '[')
			is_section = strncmp(line, CONFIG_SECTION, strlen(CONFIG_SECTION)) == 0;
		else if (is_section)
			take_config_line(&c, line);
	}
	endpoints = json_pack("[{s:I,s:s,s:s}]", "Port", (json_int_t)c.web_port, "Protocol", "HTTP",
			      "WebUrlPath", c.path);
	if (endpoints && c.has_quic)
		(void)json_array_append_new(endpoints,
					    json_pack("{s:I,s:s}", "Port", (json_int_t)c.quic_port,
						      "Protocol", "QUIC"));
	*ret = endpoints;
	return endpoints ? 0 : error_oom(err);
}

/* --- version -----------------------------------------------------------------------------------
 */

/* The length of \d{4}\.\d+[-. ]?(\(?r?\d+\)?)? at @text, 0 if it is not there. */
static size_t version_len(const char *text)
{
	size_t len = 0, end;

	while (len < 4 && isdigit((unsigned char)text[len]))
		len++;
	if (len < 4 || text[4] != '.' || !isdigit((unsigned char)text[5]))
		return 0;
	for (len = 5; isdigit((unsigned char)text[len]);)
		len++;
	end = len;
	if (text[end] && strchr("-. ", text[end]))
		end++;
	if (text[end] == '(')
		end++;
	if (text[end] == 'r')
		end++;
	if (!isdigit((unsigned char)text[end]))
		return len;
	while (isdigit((unsigned char)text[end]))
		end++;
	return text[end] == ')' ? end + 1 : end;
}

int dcv_read_version(const char *text, size_t len, char **ret, struct error *err)
{
	AUTO(buf_done) struct buf copied = {0};

	if (buf_append(&copied, text, len, err) < 0)
		return -1;
	for (const char *at = copied.data; at && *at; at++) {
		size_t found = at > copied.data && isdigit((unsigned char)at[-1]) ? 0
										  : version_len(at);

		if (found > 0 && found < 64) {
			*ret = strndup(at, found);
			return *ret ? 0 : error_oom(err);
		}
	}
	return error_set(err, ERR_INVALID, "no version that can be understood");
}

/* --- screenshots -------------------------------------------------------------------------------
 */

/* What the picture is, whatever it is called. */
static const char *format_of(const struct buf *picture)
{
	if (picture->len > 8 && memcmp(picture->data, "\x89PNG\r\n\x1a\n", 8) == 0)
		return "png";
	if (picture->len > 3 && memcmp(picture->data, "\xff\xd8\xff", 3) == 0)
		return "jpeg";
	return NULL;
}

int dcv_read_screenshot(const char *text, size_t len, struct buf *ret, const char **ret_format,
			struct error *err)
{
	AUTO(buf_done) struct buf picture = {0};
	json_auto_t *list = NULL;
	const char *base64, *format;

	if (parse_list(text, len, &list, err) < 0)
		return -1;
	base64 = json_string_value(get(json_array_get(list, 0), KEYS_PICTURE));
	if (!base64)
		return error_set(err, ERR_INVALID, "no picture");
	if (base64_decode(base64, &picture, err) < 0)
		return -1;
	format = format_of(&picture);
	if (!format)
		return error_set(err, ERR_INVALID, "neither a PNG nor a JPEG picture");
	*ret = picture;
	picture = (struct buf){0};
	*ret_format = format;
	return 0;
}
