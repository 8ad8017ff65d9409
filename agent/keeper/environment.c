#include "agent/keeper/environment.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/cleanup.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
#define DEFAULT_LANG "C.UTF-8"

static char **find(const struct environment *env, const char *name, size_t len)
{
	for (size_t i = 0; i < env->n; i++) {
		if (strncmp(env->vars[i], name, len) == 0 && env->vars[i][len] == '=')
			return &env->vars[i];
	}
	return NULL;
}

/* Takes @var over, also on failure. */
static int put(struct environment *env, char *var, struct error *err)
{
	size_t len = strcspn(var, "=");
	char **old = find(env, var, len);
	char **grown;

	if (old) {
		free(*old);
		*old = var;
		return 0;
	}
	grown = reallocarray(env->vars, env->n + 2, sizeof(*grown));
	if (!grown) {
		free(var);
		return error_oom(err);
	}
	env->vars = grown;
	env->vars[env->n++] = var;
	env->vars[env->n] = NULL;
	return 0;
}

int environment_set(struct environment *env, const char *name, const char *value, struct error *err)
{
	char *var;

	if (asprintf(&var, "%s=%s", name, value) < 0)
		return error_oom(err);
	return put(env, var, err);
}

const char *environment_get(const struct environment *env, const char *name)
{
	char **var = find(env, name, strlen(name));

	return var ? *var + strlen(name) + 1 : NULL;
}

/* --- what PAM's modules have set ---------------------------------------------------------------
 */

/* They would change what the programs of the host are, or are of another desktop of the user's. A
 * name with '*' at its end is a beginning. */
#define DROPPED                                                                                    \
	"LD_PRELOAD", "LD_AUDIT", "PYTHONHOME", "BASH_ENV", "ENV", "CONDA_*", "_CE_*",             \
		"VIRTUAL_ENV", "DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "SESSION_MANAGER",      \
		"DBUS_SESSION_BUS_ADDRESS", "DCV_SESSION_*"

/* Lists of folders in which programs look for their parts. */
#define SEARCHED                                                                                   \
	"LD_LIBRARY_PATH", "PYTHONPATH", "PERL5LIB", "GTK_PATH", "GIO_MODULE_DIR",                 \
		"GIO_EXTRA_MODULES", "GSETTINGS_SCHEMA_DIR", "QT_PLUGIN_PATH", "XDG_DATA_DIRS",    \
		"XDG_CONFIG_DIRS"

static bool is_named(const char *var, const char *const *names, size_t n_names)
{
	size_t len = strcspn(var, "=");

	for (size_t i = 0; i < n_names; i++) {
		const char *star = strchr(names[i], '*');
		size_t known = star ? (size_t)(star - names[i]) : strlen(names[i]);

		if (strncmp(var, names[i], known) == 0 && (star || known == len) && known <= len)
			return true;
	}
	return false;
}

static bool is_beneath(const char *path, size_t path_len, const char *folder)
{
	size_t len = strlen(folder);

	while (len > 0 && folder[len - 1] == '/')
		len--;
	return len > 0 && path_len >= len && strncmp(path, folder, len) == 0 &&
	       (path_len == len || path[len] == '/');
}

/* Append those entries of a search path that are beneath @home, or those that are not. */
static int append_entries(struct buf *buf, const char *path, const char *home, bool wants_beneath,
			  struct error *err)
{
	while (*path) {
		size_t len = strcspn(path, ":");

		if (len > 0 && is_beneath(path, len, home) == wants_beneath &&
		    ((buf->len > 0 && buf_append_text(buf, ":", err) < 0) ||
		     buf_append(buf, path, len, err) < 0))
			return -1;
		path += len + (path[len] == ':');
	}
	return 0;
}

static int put_search_path(struct environment *env, const char *var, const char *home,
			   struct error *err)
{
	AUTO(free_p) char *name = strndup(var, strcspn(var, "="));
	AUTO(buf_done) struct buf value = {0};
	const char *path = var + strcspn(var, "=") + 1;

	if (!name)
		return error_oom(err);
	if (append_entries(&value, path, home, false, err) < 0 ||
	    (strcmp(name, "PATH") == 0 && append_entries(&value, path, home, true, err) < 0))
		return -1;
	/* An empty path is the current folder for some, and nothing is the host's own. */
	return value.len > 0 ? environment_set(env, name, value.data, err) : 0;
}

static int put_copy(struct environment *env, const char *var, struct error *err)
{
	char *copy = strdup(var);

	return copy ? put(env, copy, err) : error_oom(err);
}

static int put_from_pam(struct environment *env, char *const *vars, const char *home,
			struct error *err)
{
	static const char *const dropped[] = {DROPPED};
	static const char *const searched[] = {"PATH", SEARCHED};

	for (; vars && *vars; vars++) {
		int rc;

		if ((*vars)[0] == '=' || !strchr(*vars, '='))
			continue; /* no name, or no value: not a variable */
		if (is_named(*vars, dropped, ARRAY_SIZE(dropped)))
			continue;
		if (is_named(*vars, searched, ARRAY_SIZE(searched)))
			rc = put_search_path(env, *vars, home, err);
		else
			rc = put_copy(env, *vars, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* --- the host's locale -------------------------------------------------------------------------
 */

const char *const environment_locale_files[] = {"/etc/locale.conf", "/etc/default/locale", NULL};

/* NAME=value, the value perhaps in quotes; whatever else there is is passed over. */
static int put_locale_line(struct environment *env, char *line, struct error *err)
{
	static const char *const names[] = {"LANG", "LANGUAGE", "LC_*"};
	size_t len = strcspn(line, "=");
	char *value = line + len + 1;
	size_t value_len;

	if (line[len] != '=' || !is_named(line, names, ARRAY_SIZE(names)))
		return 0;
	line[len] = '\0';
	value_len = strcspn(value, "\r\n");
	if (value_len >= 2 && (value[0] == '"' || value[0] == '\'') &&
	    value[value_len - 1] == value[0]) {
		value++;
		value_len -= 2;
	}
	value[value_len] = '\0';
	return value_len > 0 ? environment_set(env, line, value, err) : 0;
}

static int put_locale(struct environment *env, const char *const *files, struct error *err)
{
	char line[512];
	int rc = 0;

	for (; files && *files && rc == 0; files++) {
		AUTO(fclose_p) FILE *file = fopen(*files, "re");

		while (file && rc == 0 && fgets(line, sizeof(line), file))
			rc = put_locale_line(env, line, err);
	}
	return rc;
}

/* --- all ---------------------------------------------------------------------------------------
 */

static int put_defaults(struct environment *env, const char *const *locale_files, struct error *err)
{
	if (environment_set(env, "PATH", DEFAULT_PATH, err) < 0 ||
	    environment_set(env, "LANG", DEFAULT_LANG, err) < 0)
		return -1;
	return put_locale(env, locale_files, err);
}

int environment_init(struct environment *env, const struct environment_sources *sources,
		     struct error *err)
{
	const struct account *owner = sources->owner;
	const char *const forced[][2] = {
		{"XDG_SESSION_TYPE", "x11"},
		{"XDG_SESSION_CLASS", "user"},
		{"HOME", owner->home},
		{"USER", owner->name},
		{"LOGNAME", owner->name},
		{"SHELL", owner->shell},
		{"DCV_SESSION_ID", sources->session_id},
		{"DCV_SESSION_OWNER", owner->name},
		{"DCV_SESSION_TYPE", sources->is_console ? "console" : "virtual"},
	};

	if (put_defaults(env, sources->locale_files, err) < 0 ||
	    put_from_pam(env, sources->from_pam, owner->home, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(forced); i++) {
		if (environment_set(env, forced[i][0], forced[i][1], err) < 0)
			return -1;
	}
	if (sources->runtime_folder && !environment_get(env, "XDG_RUNTIME_DIR"))
		return environment_set(env, "XDG_RUNTIME_DIR", sources->runtime_folder, err);
	return 0;
}

void environment_done(struct environment *env)
{
	for (size_t i = 0; i < env->n; i++)
		free(env->vars[i]);
	free(env->vars);
	*env = (struct environment){0};
}
