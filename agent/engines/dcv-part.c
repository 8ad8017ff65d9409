/* The life of one session of a DCV server, as far as we have to do with it.
 *
 * What `create-session` and `close-session` say is only half the truth: a command that was ended for
 * its time may have had its effect. So the lists of sessions decide, and of those only the ones that
 * began after the change (part->since). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/account.h"
#include "agent/engines/dcv-handover.h"
#include "agent/engines/dcv.h"
#include "agent/session-file.h"
#include "agent/session-list.h"
#include "agent/session-permissions.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/message.h"
#include "common/text.h"

#define OUTPUT_MAX_BYTES (1024UL * 1024)
#define HANDOVER_NAME_LEN 32

/* The server's own way to start a desktop; without it, ours. */
#define DEFAULT_INIT "/etc/dcv/dcvsessioninit"

#define SESSION_LOST "the DCV server no longer has the session"

#define MISSING_MAX 3            /* lists in a row, after a creation that has not answered */
#define NEVER_LISTED_MS 10000    /* a session that was made and is never listed */
#define WITHOUT_DISPLAY_MS 10000 /* a server that tells no display is taken at its word */
#define CLOSE_AGAIN_MS 3000

/* What may block and therefore happens on another thread. Owns all it holds. */
struct dcv_preparation {
	struct engine_session *part; /* NULL: it is gone */
	const struct agent_config *config;
	char *owner, *init_file, *autorun_file;
	struct account account;
	char *init_path, *autorun_path;
	int result;
	struct error err;
};

/* --- parts -------------------------------------------------------------------------------------
 */

struct engine_session *dcv_part_new(struct dcv_engine *dcv, struct session *session,
				    enum dcv_step step, struct error *err)
{
	struct engine_session *part = calloc(1, sizeof(*part));

	if (part && session_list_is_id(session->id))
		part->handover_name = strdup(session->id);
	else if (part && (part->handover_name = malloc(HANDOVER_NAME_LEN + 1)))
		random_text(part->handover_name, HANDOVER_NAME_LEN);
	if (!part || !part->handover_name) {
		free(part);
		(void)error_oom(err);
		return NULL;
	}
	part->dcv = dcv;
	part->session = session;
	part->step = step;
	part->since_ms = loop_now_ms(dcv->loop);
	list_append(&dcv->parts, &part->link);
	session->part = part;
	return part;
}

void dcv_part_free(struct engine_session *part)
{
	part->session->part = NULL;
	list_remove(&part->link);
	if (part->preparation)
		part->preparation->part = NULL;
	dcv_command_forget(part->command);
	free(part->handover_name);
	free(part->init_path);
	free(part->end_reason);
	free(part->complaint);
	free(part);
}

/* Nothing of the session is left. */
static void end_part(struct engine_session *part, const char *reason, enum error_code code)
{
	struct dcv_engine *dcv = part->dcv;
	struct session *session = part->session;
	AUTO(free_p) char *kept = NULL;

	if (part->end_reason) { /* whoever ended it has told why */
		code = ERR_NONE;
		kept = TAKE(part->end_reason);
		reason = kept;
	}
	dcv_handover_remove(dcv->handover_folder, part->handover_name);
	dcv_part_free(part);
	dcv->events.ended(session, reason, code, dcv->events.userdata);
}

static void set_step(struct engine_session *part, enum dcv_step step)
{
	part->step = step;
	part->since = part->dcv->n_lists;
	part->since_ms = loop_now_ms(part->dcv->loop);
	part->n_missing = 0;
	dcv_poll_soon(part->dcv);
}

bool dcv_part_is_moving(const struct engine_session *part)
{
	return part->step == DCV_UNSURE || part->step == DCV_STARTING || part->step == DCV_CLOSING;
}

/* Twice as long as other commands may take. */
static unsigned long long change_limit_ms(const struct dcv_engine *dcv)
{
	return (unsigned long long)dcv->config->dcv_timeout * 2000;
}

static int run_change(struct engine_session *part, struct dcv_arguments *arguments,
		      void (*done)(struct buf *output, const struct error *err, void *userdata),
		      struct error *err)
{
	const struct dcv_order order = {
		.pool = DCV_POOL_GENERAL,
		.limit_ms = change_limit_ms(part->dcv),
		.output_max_bytes = OUTPUT_MAX_BYTES,
		.is_change = true,
		.done = done,
		.userdata = part,
	};

	return dcv_command_run(part->dcv->commands, &order, arguments, &part->command, err);
}

/* --- the end -----------------------------------------------------------------------------------
 */

static void on_closed(struct buf *output, const struct error *err, void *userdata)
{
	struct engine_session *part = userdata;

	(void)output;
	part->command = NULL;
	/* It may have had its effect all the same, or there may be nothing left to close. */
	if (err)
		log_info("session %s: %s", part->session->id, err->message);
	set_step(part, DCV_CLOSING);
}

static void run_close(struct engine_session *part)
{
	struct dcv_arguments arguments = {0};
	struct error err;

	part->step = DCV_CLOSING;
	part->since = part->dcv->n_lists;
	part->since_ms = loop_now_ms(part->dcv->loop);
	dcv_arguments_add(&arguments, "close-session");
	dcv_arguments_add(&arguments, part->session->id);
	if (run_change(part, &arguments, on_closed, &err) < 0)
		log_error("session %s: %s", part->session->id, err.message);
}

void dcv_part_close(struct engine_session *part)
{
	unsigned long long age_ms = loop_now_ms(part->dcv->loop) - part->since_ms;

	if (part->command || part->preparation)
		return; /* one change at a time; it goes on from there */
	/* said again by people who do not want to wait: the lists since then would tell nothing */
	if (part->step != DCV_CLOSING || age_ms >= CLOSE_AGAIN_MS)
		run_close(part);
}

/* --- creation ----------------------------------------------------------------------------------
 */

int dcv_part_write_permissions(struct engine_session *part, const char *base64, char **ret_path,
			       struct error *err)
{
	AUTO(buf_done) struct buf text = {0};

	if (session_permissions_hand_over(base64, part->dcv->config, &text, err) < 0)
		return -1;
	return dcv_handover_permissions(part->dcv->handover_folder, part->handover_name, &text,
					ret_path, err);
}

static void on_created(struct buf *output, const struct error *err, void *userdata);

static int run_create(struct engine_session *part, struct error *err)
{
	struct dcv_engine *dcv = part->dcv;
	const struct session *s = part->session;
	bool is_virtual = strcmp(s->type, "VIRTUAL") == 0;
	AUTO(free_p) char *permissions = NULL;
	struct dcv_arguments arguments = {0};

	if (s->permissions &&
	    dcv_part_write_permissions(part, s->permissions, &permissions, err) < 0)
		return -1;
	part->has_user_option = is_virtual && dcv->user_option != DCV_USER_REFUSED &&
				!part->complaint;
	dcv_arguments_add(&arguments, "create-session");
	dcv_arguments_add_option(&arguments, "--type", is_virtual ? "virtual" : "console");
	dcv_arguments_add_option(&arguments, "--name", s->name[0] ? s->name : NULL);
	dcv_arguments_add_option(&arguments, "--owner", s->owner);
	if (part->has_user_option)
		dcv_arguments_add_option(&arguments, "--user", s->owner);
	dcv_arguments_add_option(&arguments, "--permissions-file", permissions);
	dcv_arguments_add_option(&arguments, "--storage-root", s->storage_root);
	if (s->max_concurrent_clients > 0)
		dcv_arguments_add_number(&arguments, "--max-concurrent-clients",
					 s->max_concurrent_clients);
	if (is_virtual && (s->is_gl_wanted || s->is_gl_unwanted))
		dcv_arguments_add_option(&arguments, "--gl", s->is_gl_wanted ? "on" : "off");
	dcv_arguments_add_option(&arguments, "--init", part->init_path);
	dcv_arguments_add(&arguments, s->id);
	part->step = DCV_CREATING;
	return run_change(part, &arguments, on_created, err);
}

/* The server has refused a creation with --user. Which complaint is about that option is not public,
 * so it is tried once without; the owner is the one as whom such a server runs a session. What a list
 * tells of it is looked at in any case. */
static bool try_without_user(struct engine_session *part, const struct error *why)
{
	struct error err;

	if (!part->has_user_option || part->end_reason ||
	    part->dcv->user_option == DCV_USER_TAKEN || why->code != ERR_SYSTEM)
		return false;
	part->complaint = strdup(why->message);
	if (!part->complaint)
		return false;
	if (run_create(part, &err) < 0) {
		log_error("session %s: %s", part->session->id, err.message);
		return false;
	}
	return true;
}

static void on_created(struct buf *output, const struct error *err, void *userdata)
{
	struct engine_session *part = userdata;
	struct dcv_engine *dcv = part->dcv;
	char reason[sizeof(err->message)];

	(void)output;
	part->command = NULL;
	if (err && err->code == ERR_TIMEOUT) {
		free(part->complaint);
		part->complaint = strdup(err->message);
		set_step(part, DCV_UNSURE);
		return;
	}
	if (err && try_without_user(part, err))
		return;
	if (err) {
		/* of two refusals the first is the one of the usual way */
		(void)snprintf(reason, sizeof(reason), "%s",
			       part->complaint ? part->complaint : err->message);
		end_part(part, reason, err->code);
		return;
	}
	if (part->has_user_option)
		dcv->user_option = DCV_USER_TAKEN;
	else if (part->complaint)
		dcv->user_option = DCV_USER_REFUSED;
	set_step(part, DCV_STARTING);
	if (part->end_reason)
		run_close(part);
}

/* --- preparation -------------------------------------------------------------------------------
 */

static void preparation_free(struct dcv_preparation *p)
{
	if (!p)
		return;
	account_done(&p->account);
	free(p->owner);
	free(p->init_file);
	free(p->autorun_file);
	free(p->init_path);
	free(p->autorun_path);
	free(p);
}

static void preparation_free_p(struct dcv_preparation **p)
{
	preparation_free(*p);
}

/* On another thread: name services and file systems may take their time. */
static void prepare(void *userdata)
{
	struct dcv_preparation *p = userdata;

	p->result = -1;
	if (account_find(&p->account, p->owner, p->config, ACCOUNT_TO_NAME, &p->err) < 0 ||
	    (p->init_file && session_file_find("init file", p->config->init_folder, p->init_file,
					       &p->init_path, &p->err) < 0) ||
	    (p->autorun_file && session_file_find("autorun file", p->config->autorun_folder,
						  p->autorun_file, &p->autorun_path, &p->err) < 0))
		return;
	p->result = 0;
}

static int write_job(struct engine_session *part, const struct dcv_preparation *p,
		     struct error *err)
{
	const struct session *s = part->session;
	const char *fallback = access(DEFAULT_INIT, X_OK) == 0 ? DEFAULT_INIT
							       : p->config->default_session;
	AUTO(buf_done) struct buf job = {0};
	char uid[24];

	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)p->account.uid);
	if (message_add(&job, DCV_JOB_UID, uid, err) < 0 ||
	    message_add(&job, DCV_JOB_SESSION_ID, s->id, err) < 0 ||
	    message_add(&job, DCV_JOB_INIT, p->init_path ? p->init_path : fallback, err) < 0 ||
	    message_add(&job, DCV_JOB_AUTORUN, p->autorun_path, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(s->autorun_arguments); i++) {
		if (message_add(&job, DCV_JOB_ARGUMENT,
				json_string_value(json_array_get(s->autorun_arguments, i)),
				err) < 0)
			return -1;
	}
	return dcv_handover_job(part->dcv->handover_folder, part->handover_name,
				part->dcv->session_init, &job, &part->init_path, err);
}

static void on_prepared(void *userdata)
{
	AUTO(preparation_free_p) struct dcv_preparation *p = userdata;
	struct engine_session *part = p->part;
	struct error err = p->err;

	if (!part)
		return;
	part->preparation = NULL;
	session_set_account(part->session, p->account.name);
	if (part->end_reason) {
		end_part(part, NULL, ERR_NONE);
		return;
	}
	part->dcv->events.starting(part->session, part->dcv->events.userdata);
	if (p->result == 0 && !p->autorun_path)
		part->init_path = TAKE(p->init_path);
	if (p->result < 0 || (p->autorun_path && write_job(part, p, &err) < 0) ||
	    run_create(part, &err) < 0)
		end_part(part, err.message, err.code);
}

static char *copy(const char *text, bool *is_complete)
{
	char *result = text ? strdup(text) : NULL;

	*is_complete = *is_complete && (result || !text);
	return result;
}

int dcv_part_create(struct engine_session *part, struct error *err)
{
	AUTO(preparation_free_p) struct dcv_preparation *p = calloc(1, sizeof(*p));
	const struct session *s = part->session;
	bool is_complete = true;

	if (!p)
		return error_oom(err);
	p->config = part->dcv->config;
	p->owner = copy(s->owner, &is_complete);
	p->init_file = copy(s->init_file, &is_complete);
	p->autorun_file = copy(s->autorun_file, &is_complete);
	if (!is_complete)
		return error_oom(err);
	if (loop_work(part->dcv->loop, prepare, on_prepared, p, err) < 0)
		return -1;
	p->part = part;
	part->preparation = TAKE(p);
	return 0;
}

/* --- what the lists tell -----------------------------------------------------------------------
 */

static bool set_number(long long *field, long long value)
{
	bool is_news = *field != value;

	*field = value;
	return is_news;
}

/* Without memory it stays as it was, and the next list brings it again. */
static bool set_text(char **field, const char *value)
{
	char *text;

	if ((!*field && !value) || (*field && value && strcmp(*field, value) == 0))
		return false;
	text = value ? strdup(value) : NULL;
	if (value && !text)
		return false;
	free(*field);
	*field = text;
	return true;
}

static void take_facts(struct engine_session *part, const struct dcv_session *found)
{
	struct session *s = part->session;
	bool is_news = set_number(&s->n_connections, found->n_connections);

	if (found->disconnection_time_ms > 0)
		is_news |= set_number(&s->disconnection_time_ms, found->disconnection_time_ms);
	if (s->is_host_made)
		is_news |= set_text(&s->storage_root, found->storage_root);
	if (is_news)
		part->dcv->events.changed(part->dcv->events.userdata);
}

/* A server that runs the session as somebody else has understood something else than we meant. */
static bool is_users_session(const struct engine_session *part, const struct dcv_session *found)
{
	return part->session->is_host_made || found->is_console || !found->user ||
	       session_is_of(part->session, found->user);
}

static void become_ready(struct engine_session *part)
{
	struct dcv_engine *dcv = part->dcv;

	part->step = DCV_READY;
	dcv->events.ready(part->session, dcv->events.userdata);
}

void dcv_part_is_listed(struct engine_session *part, const struct dcv_session *found)
{
	struct dcv_engine *dcv = part->dcv;
	unsigned long long age_ms = loop_now_ms(dcv->loop) - part->since_ms;
	char reason[200];

	part->was_listed = true;
	part->n_missing = 0;
	take_facts(part, found);
	if (part->step == DCV_CLOSING) {
		if (!part->command && age_ms >= CLOSE_AGAIN_MS)
			run_close(part);
		return;
	}
	if (part->step == DCV_UNSURE)
		part->step = DCV_STARTING;
	if (part->end_reason) {
		dcv_part_close(part);
	} else if (part->step == DCV_STARTING && !is_users_session(part, found)) {
		(void)snprintf(reason, sizeof(reason), "the DCV server runs the session as %.100s",
			       found->user);
		part->end_reason = strdup(reason);
		dcv->events.ending(part->session, reason, dcv->events.userdata);
		dcv_part_close(part);
	} else if (part->step == DCV_STARTING &&
		   (found->has_display || found->is_console || age_ms >= WITHOUT_DISPLAY_MS)) {
		become_ready(part);
	}
}

void dcv_part_is_missing(struct engine_session *part)
{
	unsigned long long age_ms = loop_now_ms(part->dcv->loop) - part->since_ms;
	char reason[400];

	switch (part->step) {
	case DCV_PREPARING:
	case DCV_CREATING:
		break;
	case DCV_UNSURE:
		if (++part->n_missing < MISSING_MAX)
			break;
		(void)snprintf(reason, sizeof(reason), "%s",
			       part->complaint ? part->complaint : "dcv create-session: no answer");
		end_part(part, reason, ERR_TIMEOUT);
		break;
	case DCV_STARTING:
		if (part->was_listed || age_ms >= NEVER_LISTED_MS)
			end_part(part,
				 part->session->state == SESSION_READY
					 ? SESSION_LOST
					 : "the session ended while it was starting",
				 ERR_SYSTEM);
		break;
	case DCV_READY:
		end_part(part, SESSION_LOST, ERR_NONE);
		break;
	case DCV_CLOSING:
		if (!part->command)
			end_part(part, NULL, ERR_NONE);
		break;
	}
}
