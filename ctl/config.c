#include "ctl/config.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/config-file.h"
#include "common/file.h"
#include "common/log.h"
#include "ctl/url.h"
#include "ctl/visible.h"

#define FILE_NAME "dcvsmcli.conf"
#define TIMEOUT_S 60

static const char *const output_formats[] = {"json", NULL};
static const char *const outputs[] = {"table", "json", NULL};

static const struct option_spec specs[] = {
	{"socket", .kind = OPTION_TEXT, .program = PROGRAM_DCVCTL, .value = "PATH",
	 .help = "socket of the local agent (" AGENT_SOCKET ")"},
	{"broker", .kind = OPTION_FLAG, .program = PROGRAM_DCVCTL,
	 .help = "ask the broker that the configuration file names"},
	{"broker-url", .kind = OPTION_BASE_URL, .value = "URL", .help = "ask this broker"},
	{"auth-server-url", "auth-server", .kind = OPTION_URL, .value = "URL",
	 .help = "where tokens come from, if not from the broker"},
	{"ca-bundle", .kind = OPTION_TEXT, .value = "FILE", .help = "authorities to trust (PEM)"},
	{"no-verify-ssl", .kind = OPTION_FLAG, .help = "accept any certificate: discouraged"},
	{"conf", .kind = OPTION_TEXT, .value = "FILE", .help = "configuration file"},
	{"output", .kind = OPTION_CHOICE, .program = PROGRAM_DCVCTL, .choices = outputs,
	 .value = "table|json", .help = "tables for people (default), or the answer as it came"},
	{"output-format", .kind = OPTION_CHOICE, .program = PROGRAM_DCVSM,
	 .choices = output_formats, .value = "json", .help = "form of the answer"},
	{"timeout", .kind = OPTION_INTEGER, .program = PROGRAM_DCVCTL, .min = 1, .max = 3600,
	 .value = "SECONDS", .help = "how long a request may take (60)"},
	{"debug", .kind = OPTION_FLAG, .help = "tell on standard error what is done"},
	{"version", .kind = OPTION_FLAG, .help = "print the version"},
};

const struct option_table general_options = {specs, ARRAY_SIZE(specs), NULL};

static const struct {
	const char *section, *key;
	bool is_flag;
	size_t offset;
} keys[] = {
	{"output", "output-format", false, offsetof(struct config, output_format)},
	{"output", "debug", true, offsetof(struct config, debug)},
	{"security", "no-verify-ssl", true, offsetof(struct config, no_verify_ssl)},
	{"security", "ca-bundle", false, offsetof(struct config, ca_bundle)},
	{"authentication", "auth-server-url", false, offsetof(struct config, auth_server_url)},
	{"authentication", "client-id", false, offsetof(struct config, client_id)},
	{"authentication", "client-password", false, offsetof(struct config, client_password)},
	{"authentication", "none", true, offsetof(struct config, no_authorization)},
	{"broker", "url", false, offsetof(struct config, broker_url)},
};

void config_done(struct config *config)
{
	char **const texts[] = {&config->socket,    &config->broker_url,
				&config->client_id, &config->auth_server_url,
				&config->token,     &config->client_password,
				&config->ca_bundle, &config->output_format};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		free(*texts[i]);
		*texts[i] = NULL;
	}
}

bool config_is_local(const struct arguments *general, enum program program)
{
	return program == PROGRAM_DCVCTL && !arguments_flag(general, "broker") &&
	       !arguments_text(general, "broker-url");
}

/* --- the file ----------------------------------------------------------------------------------
 */

static bool read_boolean(const char *text, bool *ret)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*ret = i % 2 == 1;
			return true;
		}
	}
	return false;
}

static int set_text(char **field, const char *text, struct error *err)
{
	char *copy = strdup(text);

	if (!copy)
		return error_oom(err);
	free(*field);
	*field = copy;
	return 0;
}

static int set_key(struct config *config, const char *section, const char *key, const char *value,
		   struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char *field = (char *)config + keys[i].offset;

		if (strcasecmp(keys[i].section, section) != 0 || strcasecmp(keys[i].key, key) != 0)
			continue;
		if (!keys[i].is_flag)
			return set_text((char **)(void *)field, value, err);
		if (!read_boolean(value, (bool *)(void *)field))
			return error_set(err, ERR_CONFIG, "%s must be true or false", key);
		return 0;
	}
	log_debug("unknown key '%s' in section [%s]", key, section);
	return 0;
}

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\r");
	for (len = strlen(text); len > 0 && strchr(" \t\r", text[len - 1]);)
		text[--len] = '\0';
	return text;
}

/* *section borrows from the text. */
static int read_line(struct config *config, char *line, const char **section, struct error *err)
{
	char *text = trim(line), *end;

	if (*text == '\0' || *text == '#' || *text == ';')
		return 0;
	if (*text == '[') {
		end = strchr(text, ']');
		if (!end || end[1] != '\0')
			return error_set(err, ERR_CONFIG, "expected '[section]'");
		*end = '\0';
		*section = text + 1;
		return 0;
	}
	end = strpbrk(text, "=:");
	if (!end || end == text)
		return error_set(err, ERR_CONFIG, "expected 'key = value'");
	if (!*section)
		return error_set(err, ERR_CONFIG, "a key before the first [section]");
	*end = '\0';
	return set_key(config, *section, trim(text), trim(end + 1), err);
}

/* A folder's own file means a path beside it. */
static int resolve_ca_bundle(struct config *config, const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	char *whole;

	if (!config->ca_bundle || config->ca_bundle[0] == '/' || !slash)
		return 0;
	if (asprintf(&whole, "%.*s/%s", (int)(slash - path), path, config->ca_bundle) < 0)
		return error_oom(err);
	free(config->ca_bundle);
	config->ca_bundle = whole;
	return 0;
}

static void warn_of_readers(const struct config *config, const char *path)
{
	struct stat st;

	if (config->client_password && stat(path, &st) == 0 && (st.st_mode & S_IROTH))
		complain("warning: %s holds a password and everybody can read it", path);
}

static int read_path(struct config *config, const char *path, struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	const char *section = NULL;
	unsigned n = 0;

	if (file_read(path, CONFIG_FILE_MAX_BYTES, &text, err) < 0)
		return -1;
	if (text.len != strlen(text.data))
		return error_set(err, ERR_CONFIG, "%s: NUL byte", path);
	for (char *rest = text.data, *line; (line = strsep(&rest, "\n"));) {
		n++;
		if (read_line(config, line, &section, err) < 0)
			return error_prefix(err, "%s: line %u", path, n);
	}
	warn_of_readers(config, path);
	log_debug("configuration read from %s", path);
	return resolve_ca_bundle(config, path, err);
}

/* Where the file is looked for when nobody says: first the user's own, then the host's. */
static int usual_place(unsigned i, char **ret, struct error *err)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n;

	if (i == 0 && xdg && *xdg)
		n = asprintf(ret, "%s/" FILE_NAME, xdg);
	else if (i == 0)
		n = asprintf(ret, "%s/.config/" FILE_NAME, home ? home : "");
	else
		n = asprintf(ret, "/etc/dcvsm/" FILE_NAME);
	if (n >= 0)
		return 0;
	*ret = NULL;
	return error_oom(err);
}

int config_read_file(struct config *config, const struct arguments *general, enum program program,
		     struct error *err)
{
	const char *path = arguments_text(general, "conf");

	if (path)
		return read_path(config, path, err);
	if (config_is_local(general, program))
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		AUTO(free_p) char *place = NULL;

		if (usual_place(i, &place, err) < 0)
			return -1;
		if (access(place, F_OK) == 0)
			return read_path(config, place, err);
	}
	return 0;
}

/* --- environment and options -------------------------------------------------------------------
 */

/* An empty variable is as good as none. */
static int overlay(char **field, const char *variable, const char *option, struct error *err)
{
	const char *text = variable ? getenv(variable) : NULL;

	if (option)
		return set_text(field, option, err);
	return text && *text ? set_text(field, text, err) : 0;
}

static int overlay_all(struct config *config, const struct arguments *general, struct error *err)
{
	if (overlay(&config->broker_url, NULL, arguments_text(general, "broker-url"), err) < 0 ||
	    overlay(&config->auth_server_url, "DCV_SM_AUTH_SERVER_URL",
		    arguments_text(general, "auth-server-url"), err) < 0 ||
	    overlay(&config->client_id, "DCV_SM_CLIENT_ID", NULL, err) < 0 ||
	    overlay(&config->client_password, "DCV_SM_CLIENT_PASSWORD", NULL, err) < 0 ||
	    overlay(&config->token, "DCV_SM_OAUTH2_TOKEN", NULL, err) < 0 ||
	    overlay(&config->ca_bundle, NULL, arguments_text(general, "ca-bundle"), err) < 0)
		return -1;
	config->no_verify_ssl |= arguments_flag(general, "no-verify-ssl");
	config->debug |= arguments_flag(general, "debug");
	config->timeout_s = arguments_integer(general, "timeout", TIMEOUT_S);
	return 0;
}

/* What comes from the file or the environment is checked here; options were when they were read. */
static int check_url(const char *url, bool may_have_query, const char *what, struct error *err)
{
	if (!url || url_check(url, may_have_query, err) == 0)
		return 0;
	return error_set(err, ERR_CONFIG, "%s: %s", what, err->message);
}

static int check_credentials(const struct config *config, struct error *err)
{
	if (config->token || (config->client_id && config->client_password))
		return 0;
	if (config->client_id || config->client_password)
		return error_set(err, ERR_CONFIG, "the client %s is missing",
				 config->client_id ? "password" : "id");
	if (config->no_authorization)
		return 0;
	return error_set(err, ERR_CONFIG,
			 "no credentials: set DCV_SM_CLIENT_ID and DCV_SM_CLIENT_PASSWORD, or "
			 "client-id and client-password in the configuration file");
}

static int complete_broker(const struct config *config, struct error *err)
{
	AUTO(fclose_p) FILE *bundle = NULL;

	if (!config->broker_url)
		return error_set(err, ERR_CONFIG,
				 "no broker: give --broker-url, or url in section [broker] of the "
				 "configuration file");
	if (config->output_format && strcasecmp(config->output_format, "json") != 0)
		return error_set(err, ERR_CONFIG, "output-format must be json");
	if (check_url(config->broker_url, false, "broker URL", err) < 0 ||
	    check_url(config->auth_server_url, true, "auth-server-url", err) < 0 ||
	    check_credentials(config, err) < 0)
		return -1;
	if (config->no_verify_ssl)
		complain("warning: the broker's certificate is not checked");
	if (!config->ca_bundle)
		return 0;
	bundle = fopen(config->ca_bundle, "re");
	if (bundle)
		return 0;
	(void)error_errno(err, "CA bundle %s", config->ca_bundle);
	err->code = ERR_CONFIG;
	return -1;
}

int config_complete(struct config *config, const struct arguments *general, enum program program,
		    struct error *err)
{
	if (overlay_all(config, general, err) < 0)
		return -1;
	if (!config_is_local(general, program))
		return complete_broker(config, err);
	if (set_text(&config->socket, AGENT_SOCKET, err) < 0)
		return -1;
	return overlay(&config->socket, "DCVCTL_SOCKET", arguments_text(general, "socket"), err);
}
