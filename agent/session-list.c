#include "agent/session-list.h"

#include "agent/session-log.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

#define RECORD_MAX_BYTES (1024 * 1024)
#define ID_MAX_BYTES 128

/* A keeper watches the same times; the agent acts a little later, and only when the keeper did not.
 */
#define CREATE_MARGIN_MS 5000
#define DELETE_MARGIN_MS 15000

bool session_list_is_id(const char *id)
{
	size_t len = strlen(id);

	if (len == 0 || len > ID_MAX_BYTES || id[0] == '.' || id[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)id[i]) && !strchr("._-", id[i]))
			return false;
	}
	return true;
}

static char *record_path(const struct session_list *list, const char *id)
{
	char *path;

	return asprintf(&path, "%s/%s.json", list->folder, id) < 0 ? NULL : path;
}

int session_list_save(const struct session_list *list, const struct session *session,
		      struct error *err)
{
	AUTO(free_p) char *path = record_path(list, session->id);
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *record = session_to_record(session);

	if (session->is_host_made) /* its id may be no name for a file, and it is found again */
		return 0;
	if (!path || !record)
		return error_oom(err);
	if (json_append(&text, record, err) < 0)
		return -1;
	return file_write_volatile(path, text.data, text.len, 0600, err);
}

/* --- deadlines ---------------------------------------------------------------------------------
 */

static unsigned long long allowed_ms(const struct session_list *list, const struct session *s)
{
	const struct agent_config *config = list->config;
	long long seconds = s->is_starting ? config->create_timeout : config->queue_timeout;

	switch (s->state) {
	case SESSION_CREATING:
		return (unsigned long long)seconds * 1000 + CREATE_MARGIN_MS;
	case SESSION_DELETING:
		return (unsigned long long)config->delete_grace * 1000 + DELETE_MARGIN_MS;
	default:
		return 0;
	}
}

static void set_deadline(struct session_list *list, struct session *session)
{
	unsigned long long ms = allowed_ms(list, session);

	session->deadline_ms = ms ? loop_now_ms(list->loop) + ms : 0;
}

/* Milliseconds until something is due for the session, or -1. */
static long long due_in(const struct session_list *list, const struct session *s)
{
	long long ms = -1;

	if (s->state == SESSION_DELETED)
		ms = s->end_time_ms + SESSION_LIST_KEEP_MS - time_now_ms();
	else if (s->deadline_ms > 0)
		ms = (long long)s->deadline_ms - (long long)loop_now_ms(list->loop);
	else
		return -1;
	return ms < 0 ? 0 : ms;
}

static void set_timer(struct session_list *list)
{
	long long earliest = -1;

	list_for_each (s, &list->sessions, struct session, link) {
		long long ms = due_in(list, s);

		if (ms >= 0 && (earliest < 0 || ms < earliest))
			earliest = ms;
	}
	if (earliest >= 0)
		timer_start(list->timer, (unsigned long long)earliest + 1, 0);
	else
		timer_stop(list->timer);
}

static void on_timer(void *userdata)
{
	struct session_list *list = userdata;

	list_for_each_safe (s, &list->sessions, struct session, link) {
		if (due_in(list, s) != 0)
			continue;
		if (s->state == SESSION_DELETED) {
			session_list_remove(list, s);
			continue;
		}
		set_deadline(list, s); /* also when nobody can act now: it comes up again */
		list->handler.expired(s, list->handler.userdata);
	}
	set_timer(list);
}

/* --- members -----------------------------------------------------------------------------------
 */

struct session_counts session_list_count(const struct session_list *list, const char *owner)
{
	struct session_counts counts = {0};

	list_for_each (s, &list->sessions, struct session, link) {
		if (s->state == SESSION_DELETED)
			continue;
		if (strcmp(s->type, "CONSOLE") == 0) {
			counts.n_console++;
			continue;
		}
		counts.n_virtual++;
		counts.n_managed += !s->is_host_made;
		counts.n_owner += !s->is_host_made && owner && session_is_of(s, owner);
	}
	return counts;
}

/* A console session is the host's one display, and virtual ones do not go with it. */
static int check_console(const struct session_counts *counts, const struct session *session,
			 struct error *err)
{
	if (counts->n_console > 0)
		return error_set(err, ERR_LIMIT, "this host has a console session");
	if (counts->n_virtual > 0 && strcmp(session->type, "CONSOLE") == 0)
		return error_set(err, ERR_LIMIT,
				 "this host has virtual sessions, which no console session can "
				 "be beside");
	return 0;
}

static int refuse_owner(const char *name, long long most, struct error *err)
{
	return error_set(err, ERR_LIMIT, "user %s has the allowed %lld sessions on this host", name,
			 most);
}

static int check_limits(const struct session_list *list, const struct session *session,
			struct error *err)
{
	struct session_counts counts = session_list_count(list, session->owner);
	long long most = list->config->max_virtual_sessions;
	long long most_of_owner = list->config->max_sessions_per_user;

	if (check_console(&counts, session, err) < 0)
		return -1;
	if (strcmp(session->type, "CONSOLE") == 0)
		return 0;
	if (most >= 0 && counts.n_managed >= most)
		return error_set(err, ERR_LIMIT, "this host has its %lld virtual sessions", most);
	if (most_of_owner >= 0 && counts.n_owner >= most_of_owner)
		return refuse_owner(session->owner, most_of_owner, err);
	return 0;
}

int session_list_check_account(const struct session_list *list, const struct session *session,
			       struct error *err)
{
	long long most = list->config->max_sessions_per_user, n_before = 0;

	if (!session->account || session->is_host_made || most < 0 ||
	    strcmp(session->type, "CONSOLE") == 0)
		return 0;
	list_for_each (s, &list->sessions, struct session, link) {
		if (s == session)
			break;
		n_before += s->state != SESSION_DELETED && !s->is_host_made &&
			    strcmp(s->type, "CONSOLE") != 0 && session_is_of(s, session->account);
	}
	return n_before < most ? 0 : refuse_owner(session->account, most, err);
}

static void append(struct session_list *list, struct session *session)
{
	list_append(&list->sessions, &session->link);
	set_deadline(list, session);
	set_timer(list);
	list->handler.changed(list->handler.userdata);
}

int session_list_add(struct session_list *list, struct session *session, struct error *err)
{
	if (check_limits(list, session, err) < 0)
		return -1;
	if (session_list_save(list, session, err) < 0)
		return error_prefix(err, "session record");
	append(list, session);
	return 0;
}

void session_list_adopt(struct session_list *list, struct session *session)
{
	struct error err;

	if (session_list_save(list, session, &err) < 0)
		log_warning("session %s has no record: %s", session->id, err.message);
	append(list, session);
}

void session_list_remove(struct session_list *list, struct session *session)
{
	AUTO(free_p) char *path = record_path(list, session->id);

	if (path && !session->is_host_made)
		(void)unlink(path);
	session_free(session);
	set_timer(list);
	list->handler.changed(list->handler.userdata);
}

struct session *session_list_find(const struct session_list *list, const char *id)
{
	list_for_each (s, &list->sessions, struct session, link) {
		if (strcmp(s->id, id) == 0)
			return s;
	}
	return NULL;
}

struct session *session_list_find_for(const struct session_list *list, const struct caller *caller,
				      const char *id)
{
	struct session *session = session_list_find(list, id);

	return session && caller_owns_session(caller, session) ? session : NULL;
}

int session_list_apply(struct session_list *list, struct session *session, enum session_event event,
		       const char *reason, struct error *err)
{
	struct error problem = {0};

	if (session_apply(session, event, reason, err) < 0)
		return -1;
	log_info("session %s is %s (owner=%s%s%s)", session->id, session_state_name(session->state),
		 session->owner, reason ? ", reason=" : "", reason ? reason : "");
	session_log_add(session, "agent", "the session is %s%s%s",
			session_state_name(session->state), reason ? ": " : "",
			reason ? reason : "");
	/* The state is what it is, whether the disk takes it or not. */
	if (session_list_save(list, session, &problem) < 0)
		log_warning("session %s: %s", session->id, problem.message);
	set_deadline(list, session);
	set_timer(list);
	list->handler.changed(list->handler.userdata);
	return 0;
}

void session_list_note_start(struct session_list *list, struct session *session)
{
	session->is_starting = true;
	set_deadline(list, session);
	set_timer(list);
}

/* --- the folder --------------------------------------------------------------------------------
 */

static int load_record(struct session_list *list, const char *name, struct error *err)
{
	AUTO(free_p) char *path = NULL;
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *record = NULL;
	struct session *session;

	if (asprintf(&path, "%s/%s", list->folder, name) < 0) {
		path = NULL;
		return error_oom(err);
	}
	if (file_read(path, RECORD_MAX_BYTES, &text, err) < 0 ||
	    json_parse(text.data ? text.data : "", text.len, &record, err) < 0)
		return -1;
	session = session_from_record(record, err);
	if (!session)
		return -1;
	/* The id names the file: no record can stand for two, or lie elsewhere. */
	if (!session_list_is_id(session->id) || strlen(session->id) + 5 != strlen(name) ||
	    strncmp(session->id, name, strlen(session->id)) != 0) {
		(void)error_set(err, ERR_INVALID, "it is the record of '%.200s'", session->id);
		session_free(session);
		return -1;
	}
	list_append(&list->sessions, &session->link);
	set_deadline(list, session);
	return 0;
}

static int load_records(struct session_list *list, struct error *err)
{
	DIR *folder = opendir(list->folder);
	const struct dirent *entry;

	if (!folder)
		return error_errno(err, "open %s", list->folder);
	while ((entry = readdir(folder))) {
		size_t len = strlen(entry->d_name);
		struct error problem = {0};

		if (len < 6 || strcmp(entry->d_name + len - 5, ".json") != 0)
			continue;
		if (load_record(list, entry->d_name, &problem) < 0)
			log_warning("session record %s/%s is left out: %s", list->folder,
				    entry->d_name, problem.message);
	}
	(void)closedir(folder);
	set_timer(list);
	return 0;
}

int session_list_init(struct session_list *list, struct loop *loop,
		      const struct agent_config *config, const char *state_folder,
		      const struct session_list_handler *handler, struct error *err)
{
	*list = (struct session_list){.loop = loop, .config = config, .handler = *handler};
	list_init(&list->sessions);
	if (asprintf(&list->folder, "%s/sessions", state_folder) < 0) {
		list->folder = NULL;
		return error_oom(err);
	}
	list->timer = timer_new(loop, on_timer, list);
	if (!list->timer)
		return error_oom(err);
	if (file_make_folder(list->folder, 0700, err) < 0)
		return -1;
	return load_records(list, err);
}

void session_list_done(struct session_list *list)
{
	timer_free(list->timer);
	list->timer = NULL;
	if (list->sessions.next) {
		list_for_each_safe (s, &list->sessions, struct session, link)
			session_free(s);
	}
	free(list->folder);
	list->folder = NULL;
}
