#include "agent/session-permissions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/os-groups.h"

/* What holds where neither request nor host has a file. Source: the default file as shipped. */
static const char builtin[] = "[permissions]\n%owner% allow builtin\n";

#define GROUPS_MAX 50 /* that are looked up for warnings */

/* --- reading -----------------------------------------------------------------------------------
 */

static void log_problems(const char *id, const struct problems *problems, bool are_errors)
{
	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->items[i];

		log_line(are_errors ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
			 "session %s: permissions file%s%s, line %u: %s", id, p->file ? " " : "",
			 p->file ? p->file : "", p->line, p->text ? p->text : "");
	}
	if (problems->total > problems->n)
		log_info("session %s: permissions file: %zu more", id,
			 problems->total - problems->n);
}

static void log_report(const char *id, const struct permissions_report *report)
{
	log_problems(id, &report->errors, true);
	log_problems(id, &report->warnings, false);
}

static int read_sent(const char *base64, const struct permissions_options *options,
		     struct permissions **ret, struct permissions_report *report, struct error *err)
{
	AUTO(buf_done) struct buf file = {0};

	if (permissions_decode(base64, &file, err) < 0)
		return -1;
	if (permissions_parse(file.data ? file.data : "", file.len, options, ret, report, err) == 0)
		return 0;
	if (err->code == ERR_INVALID)
		(void)error_set(err, ERR_INVALID, "Invalid permissions file, %s", err->message);
	return -1;
}

static int read_default(const char *path, const struct permissions_options *sent,
			struct permissions **ret, struct permissions_report *report,
			struct error *err)
{
	struct permissions_options options = *sent;

	options.import_folders = NULL; /* the administrator wrote it */
	if (permissions_load(path, &options, ret, report, err) == 0)
		return 0;
	if (err->code == ERR_NOT_FOUND)
		return permissions_parse(builtin, strlen(builtin), &options, ret, report, err);
	if (err->code == ERR_INVALID)
		(void)error_set(err, ERR_INVALID, "Invalid permissions file, %s", err->message);
	return error_blame_host(err);
}

int session_permissions_read(const char *id, const char *base64, const struct agent_config *config,
			     struct permissions **ret, struct error *err)
{
	const struct permissions_options options = {
		.import_folders = config->permissions_import_folders,
		.tolerates_unknown_features = strcmp(config->permissions_unknown_feature, "warn") ==
					      0,
	};
	AUTO(permissions_report_done) struct permissions_report report = {0};
	int failed;

	if (base64)
		failed = read_sent(base64, &options, ret, &report, err);
	else
		failed =
			read_default(config->permissions_default_file, &options, ret, &report, err);
	log_report(id, &report);
	return failed;
}

void session_permissions_restore(struct session *session, const struct agent_config *config)
{
	struct error err;

	permissions_free(session->rights);
	session->rights = NULL;
	if (session_permissions_read(session->id, session->permissions, config, &session->rights,
				     &err) < 0)
		log_error("session %s: nobody has any permission: %s", session->id, err.message);
}

/* --- groups that are not there -----------------------------------------------------------------
 */

struct looking {
	char *id;
	char *groups[GROUPS_MAX];
	bool is_missing[GROUPS_MAX];
	size_t n;
};

static void looking_free(struct looking *looking)
{
	if (!looking)
		return;
	for (size_t i = 0; i < looking->n; i++)
		free(looking->groups[i]);
	free(looking->id);
	free(looking);
}

static void looking_free_p(struct looking **looking)
{
	looking_free(*looking);
}

static void look(void *userdata)
{
	struct looking *looking = userdata;

	gid_t gid;

	for (size_t i = 0; i < looking->n; i++)
		looking->is_missing[i] = !os_group_find(looking->groups[i], &gid);
}

static void on_looked(void *userdata)
{
	struct looking *looking = userdata;

	for (size_t i = 0; i < looking->n; i++) {
		if (looking->is_missing[i])
			log_warning("session %s: permissions file: there is no group %s here",
				    looking->id, looking->groups[i]);
	}
	looking_free(looking);
}

void session_permissions_warn(const struct session *session, struct loop *loop)
{
	AUTO(looking_free_p) struct looking *looking = calloc(1, sizeof(*looking));
	struct place place;
	const char *group;
	size_t at = 0;
	struct error err;

	if (looking)
		looking->id = strdup(session->id);
	while (looking && looking->n < GROUPS_MAX && session->rights &&
	       (group = permissions_next_os_group(session->rights, &at, &place))) {
		looking->groups[looking->n] = strdup(group);
		looking->n += looking->groups[looking->n] != NULL;
	}
	/* a warning that cannot be had is no loss to the session */
	if (looking && looking->id && looking->n > 0 &&
	    loop_work(loop, look, on_looked, looking, &err) == 0)
		(void)TAKE(looking);
}

/* --- for others --------------------------------------------------------------------------------
 */

#define IMPORT "#import"
#define BLANKS " \t\r"

/* What an import leads to, in the first folder that has it; NULL: nothing. */
static char *resolve_import(const char *path, const char *folders)
{
	if (path[0] == '/')
		return realpath(path, NULL);
	for (const char *folder = folders; folder && *folder; folder += strlen(folder) + 1) {
		AUTO(free_p) char *joined = NULL;
		char *found;

		if (asprintf(&joined, "%s/%s", folder, path) < 0) {
			joined = NULL;
			return NULL;
		}
		found = realpath(joined, NULL);
		if (found)
			return found;
	}
	return NULL;
}

/* An import that leads nowhere by now stays as it is: whoever reads it will complain. */
static int hand_over_line(char *line, const char *folders, struct buf *ret, struct error *err)
{
	const size_t len = strlen(IMPORT);
	char *start = line + strspn(line, BLANKS), *path;
	AUTO(free_p) char *found = NULL;

	if (strncmp(start, IMPORT, len) == 0 && start[len] && strchr(BLANKS, start[len])) {
		path = start + len + strspn(start + len, BLANKS);
		for (size_t n = strlen(path); n > 0 && strchr(BLANKS, path[n - 1]);)
			path[--n] = '\0';
		found = resolve_import(path, folders);
	}
	return found ? buf_printf(ret, err, IMPORT " %s\n", found)
		     : buf_printf(ret, err, "%s\n", line);
}

int session_permissions_hand_over(const char *base64, const struct agent_config *config,
				  struct buf *ret, struct error *err)
{
	AUTO(buf_done) struct buf file = {0};
	char *line, *end;

	if (permissions_decode(base64, &file, err) < 0)
		return -1;
	line = file.data ? file.data : NULL;
	if (line && strncmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3;
	for (; line && *line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (hand_over_line(line, config->permissions_import_folders, ret, err) < 0)
			return -1;
	}
	return 0;
}
