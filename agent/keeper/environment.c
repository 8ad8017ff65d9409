#include "agent/keeper/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"

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

static int put_all(struct environment *env, char *const *vars, struct error *err)
{
	for (; vars && *vars; vars++) {
		char *copy;

		if ((*vars)[0] == '=' || !strchr(*vars, '='))
			continue; /* no name, or no value: not a variable */
		copy = strdup(*vars);
		if (!copy)
			return error_oom(err);
		if (put(env, copy, err) < 0)
			return -1;
	}
	return 0;
}

int environment_init(struct environment *env, char *const *from_pam, const struct account *owner,
		     const char *session_id, struct error *err)
{
	const char *lang = getenv("LANG");
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *const forced[][2] = {
		{"HOME", owner->home},          {"USER", owner->name},
		{"LOGNAME", owner->name},       {"SHELL", owner->shell},
		{"DCV_SESSION_ID", session_id}, {"DCV_SESSION_OWNER", owner->name},
		{"XDG_SESSION_TYPE", "x11"},
	};

	if (environment_set(env, "PATH", DEFAULT_PATH, err) < 0 ||
	    environment_set(env, "LANG", lang && lang[0] ? lang : "C.UTF-8", err) < 0)
		return -1;
	/* An ordinary user's keeper has no pam_systemd to name the folder that it lives in itself.
	 */
	if (geteuid() != 0 && runtime && environment_set(env, "XDG_RUNTIME_DIR", runtime, err) < 0)
		return -1;
	if (put_all(env, from_pam, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(forced); i++) {
		if (environment_set(env, forced[i][0], forced[i][1], err) < 0)
			return -1;
	}
	return 0;
}

void environment_done(struct environment *env)
{
	for (size_t i = 0; i < env->n; i++)
		free(env->vars[i]);
	free(env->vars);
	*env = (struct environment){0};
}
