#include "agent/logged-in.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-login.h>
#include <unistd.h>
#include <utmp.h>

#include "agent/host-file.h"
#include "common/cleanup.h"
#include "common/json.h"

#define NAME_BUFFER_BYTES 16384

struct names {
	char **texts;
	size_t n;
};

/* What has no memory is left out. */
static void add(struct names *names, const char *name)
{
	char **texts;

	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->texts[i], name) == 0)
			return;
	}
	texts = realloc(names->texts, (names->n + 1) * sizeof(*texts));
	if (!texts)
		return;
	names->texts = texts;
	texts[names->n] = strdup(name);
	names->n += texts[names->n] != NULL;
}

/* --- logind ------------------------------------------------------------------------------------
 */

/* The folder that sd-login(3) names to find out whether logind runs. */
static bool has_logind(const char *root)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/run/systemd/seats", root);
	return access(path, F_OK) == 0;
}

static void add_session(struct names *names, const char *session)
{
	AUTO(free_p) char *class = NULL, *state = NULL;
	char buffer[NAME_BUFFER_BYTES];
	struct passwd entry, *found = NULL;
	uid_t uid;

	if (sd_session_get_class(session, &class) < 0 || strcmp(class, "user") != 0 ||
	    sd_session_get_state(session, &state) < 0 || strcmp(state, "closing") == 0 ||
	    sd_session_get_uid(session, &uid) < 0)
		return;
	if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found)
		add(names, found->pw_name);
}

static void read_logind(struct names *names)
{
	char **sessions = NULL;
	int n = sd_get_sessions(&sessions);

	for (int i = 0; i < n; i++) {
		add_session(names, sessions[i]);
		free(sessions[i]);
	}
	free(sessions);
}

/* --- utmp --------------------------------------------------------------------------------------
 */

/* An entry outlives the process of a session that did not end in order. */
static bool is_alive(const char *root, const struct utmp *entry)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/proc/%ld", root, (long)entry->ut_pid);
	return access(path, F_OK) == 0;
}

/* Read as a file: getutent(3) would wait for the locks of others. */
static void read_utmp(const char *root, struct names *names)
{
	AUTO(fclose_p) FILE *file = host_file_open(root, "/run/utmp");
	struct utmp entry;

	if (!file)
		file = host_file_open(root, "/var/run/utmp");
	while (file && fread(&entry, sizeof(entry), 1, file) == 1) {
		char name[sizeof(entry.ut_user) + 1];

		(void)snprintf(name, sizeof(name), "%.*s", (int)sizeof(entry.ut_user),
			       entry.ut_user);
		if (entry.ut_type == USER_PROCESS && name[0] && is_alive(root, &entry))
			add(names, name);
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

json_t *logged_in_users(const char *root)
{
	json_t *users = json_array();
	struct names names = {0};

	if (has_logind(root))
		read_logind(&names);
	else
		read_utmp(root, &names);
	if (names.n > 0)
		qsort(names.texts, names.n, sizeof(*names.texts), compare);
	for (size_t i = 0; i < names.n; i++) {
		json_t *user = json_object();

		json_set_text(user, "Username", names.texts[i]);
		if (json_object_size(user) > 0)
			(void)json_array_append(users, user);
		json_decref(user);
		free(names.texts[i]);
	}
	free(names.texts);
	return users;
}
