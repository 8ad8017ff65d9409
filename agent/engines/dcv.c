/* Sessions of an Amazon DCV server. It tells nothing by itself, so its list of sessions is asked for at
 * intervals, and at once after every change of ours; what a list has and lacks is all we know. A
 * list that does not come, or cannot be understood, says nothing about the sessions: then the
 * server is in trouble, and they stay as they were. */
#include "agent/engines/dcv.h"

#include <stdlib.h>
#include <string.h>

#include "agent/engines/dcv-handover.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/log.h"
#include "common/text.h"

#define POLL_MS 2000         /* between two lists */
#define POLL_MOVING_MS 250   /* while a session begins or ends */
#define POLL_TROUBLE_MS 500  /* until the server answers again */
#define SEARCH_LIMIT_MS 5000 /* the agent's start waits no longer for the first list */
#define LIST_MAX_BYTES (1024UL * 1024)
#define OUTPUT_MAX_BYTES (1024UL * 1024)
#define SCREENSHOT_MAX_BYTES (64UL * 1024 * 1024)

/* --- lists -------------------------------------------------------------------------------------
 */

static struct engine_session *find_part(const struct dcv_engine *dcv, const char *id)
{
	list_for_each (part, &dcv->parts, struct engine_session, link) {
		if (strcmp(part->session->id, id) == 0)
			return part;
	}
	return NULL;
}

/* A session that we did not begin, or not know to have begun. */
static void adopt(struct dcv_engine *dcv, const struct dcv_session *listed)
{
	const struct found_session found = {
		.id = listed->id,
		.owner = listed->owner,
		.type = listed->is_console ? "CONSOLE" : "VIRTUAL",
		.name = listed->name ? listed->name : "",
		.creation_time_ms = listed->creation_time_ms,
		.is_host_made = true,
	};
	struct session *session = dcv->events.found(&found, dcv->events.userdata);
	struct engine_session *part;
	struct error err;

	if (!session)
		return;
	dcv->events.starting(session, dcv->events.userdata);
	part = dcv_part_new(dcv, session, DCV_STARTING, &err);
	if (!part)
		log_error("session %s cannot be adopted: %s", listed->id, err.message);
	else
		dcv_part_is_listed(part, listed);
}

static const struct dcv_session *find_listed(const struct dcv_sessions *sessions, const char *id)
{
	list_for_each (listed, &sessions->sessions, struct dcv_session, link) {
		if (strcmp(listed->id, id) == 0)
			return listed;
	}
	return NULL;
}

static void compare(struct dcv_engine *dcv, const struct dcv_sessions *sessions)
{
	list_for_each_safe (part, &dcv->parts, struct engine_session, link) {
		const struct dcv_session *listed = find_listed(sessions, part->session->id);

		if (part->since >= dcv->n_lists)
			continue; /* it changed after this list was begun */
		/* another owner: the id was used once more, and the session we knew is gone */
		if (listed && session_is_of(part->session, listed->owner))
			dcv_part_is_listed(part, listed);
		else if (listed || !sessions->is_partial)
			dcv_part_is_missing(part);
	}
	list_for_each (listed, &sessions->sessions, struct dcv_session, link) {
		if (!find_part(dcv, listed->id))
			adopt(dcv, listed);
	}
}

static bool is_known(const char *handover_name, void *userdata)
{
	const struct dcv_engine *dcv = userdata;

	list_for_each (part, &dcv->parts, struct engine_session, link) {
		if (strcmp(part->handover_name, handover_name) == 0)
			return true;
	}
	return false;
}

static void schedule(struct dcv_engine *dcv)
{
	unsigned long long ms = dcv->engine.status.trouble ? POLL_TROUBLE_MS : POLL_MS;

	list_for_each (part, &dcv->parts, struct engine_session, link) {
		if (dcv_part_is_moving(part) && !dcv->engine.status.trouble)
			ms = POLL_MOVING_MS;
	}
	timer_start(dcv->poll_timer, dcv->is_poll_wanted ? 0 : ms, 0);
	dcv->is_poll_wanted = false;
}

/* The first list, and the first one after a trouble, tells what there is. */
static void take_list(struct dcv_engine *dcv, const struct dcv_sessions *sessions)
{
	bool is_first = !dcv->is_searched || dcv->engine.status.trouble;

	dcv_status_set_trouble(dcv, NULL);
	compare(dcv, sessions);
	if (!is_first)
		return;
	if (!dcv->is_searched)
		dcv_status_refresh(dcv);
	dcv->is_searched = true;
	dcv->events.searched(dcv->events.userdata);
	dcv_handover_sweep(dcv->handover_folder, is_known, dcv);
}

static void take_trouble(struct dcv_engine *dcv, const struct error *err)
{
	dcv_status_set_trouble(dcv, err->message);
	if (dcv->is_searched)
		return;
	dcv->is_searched = true;
	dcv->events.searched(dcv->events.userdata);
}

static void on_list(struct buf *output, const struct error *err, void *userdata)
{
	struct dcv_engine *dcv = userdata;
	struct dcv_sessions sessions = {0};
	struct error problem;

	dcv->listing = NULL;
	if (output && dcv_read_sessions(output->data ? output->data : "", output->len, &sessions,
					&problem) < 0) {
		(void)error_prefix(&problem, "dcv list-sessions");
		err = &problem;
	}
	if (!err) {
		take_list(dcv, &sessions);
	} else if (err->code == ERR_SYSTEM || err->code == ERR_INVALID) {
		/* perhaps it has only the other form; the next list tells whether that is better */
		dcv->is_list_text = !dcv->is_list_text;
		dcv->is_poll_wanted |= dcv->is_list_text;
		if (!dcv->is_list_text)
			take_trouble(dcv, err);
	} else {
		take_trouble(dcv, err);
	}
	dcv_sessions_done(&sessions);
	schedule(dcv);
}

static void begin_list(struct dcv_engine *dcv)
{
	unsigned long long limit_ms = (unsigned long long)dcv->config->dcv_timeout * 1000;
	struct dcv_order order = {
		.pool = DCV_POOL_GENERAL,
		.limit_ms = limit_ms,
		.output_max_bytes = LIST_MAX_BYTES,
		.done = on_list,
		.userdata = dcv,
	};
	struct dcv_arguments arguments = {0};
	struct error err;

	if (!dcv->is_searched && limit_ms > SEARCH_LIMIT_MS)
		order.limit_ms = SEARCH_LIMIT_MS;
	dcv->n_lists++;
	dcv_arguments_add(&arguments, "list-sessions");
	if (!dcv->is_list_text)
		dcv_arguments_add(&arguments, "--json");
	if (dcv_command_run(dcv->commands, &order, &arguments, &dcv->listing, &err) < 0) {
		log_error("dcv list-sessions: %s", err.message);
		schedule(dcv);
	}
}

static void on_poll(void *userdata)
{
	begin_list(userdata);
}

void dcv_poll_soon(struct dcv_engine *dcv)
{
	if (dcv->listing)
		dcv->is_poll_wanted = true;
	else
		timer_start(dcv->poll_timer, 0, 0);
}

static void on_status_timer(void *userdata)
{
	struct dcv_engine *dcv = userdata;

	dcv->is_list_text = false; /* perhaps it was only for once that the usual form failed */
	if (!dcv->engine.status.trouble)
		dcv_status_refresh(dcv);
}

/* --- screenshots -------------------------------------------------------------------------------
 */

/* What is asked of the server for somebody. */
struct asked {
	struct dcv_engine *dcv;
	char *session_id;
	struct answer *answer;
};

static struct asked *asked_new(struct dcv_engine *dcv, const char *session_id,
			       struct answer *answer, struct error *err)
{
	struct asked *asked = calloc(1, sizeof(*asked));

	if (asked)
		*asked = (struct asked){dcv, strdup(session_id), answer};
	if (asked && asked->session_id)
		return asked;
	free(asked);
	(void)error_oom(err);
	return NULL;
}

static void asked_free(struct asked *asked)
{
	free(asked->session_id);
	free(asked);
}

static int append_shot(const struct asked *shot, const struct buf *output, struct buf *ret,
		       struct error *err)
{
	AUTO(buf_done) struct buf picture = {0};
	const char *format;
	char time[TIME_SIZE];

	if (dcv_read_screenshot(output->data ? output->data : "", output->len, &picture, &format,
				err) < 0)
		return error_blame_host(err);
	time_format(time_now_ms(), time);
	if (buf_append_text(ret, "{\"SessionScreenshot\":{\"SessionId\":", err) < 0 ||
	    json_append_string(ret, shot->session_id, err) < 0 ||
	    buf_printf(ret, err,
		       ",\"Images\":[{\"Format\":\"%s\",\"CreationTime\":\"%s\",\"Primary\":true,"
		       "\"Data\":\"",
		       format, time) < 0 ||
	    base64_append(ret, picture.data, picture.len, err) < 0)
		return -1;
	return buf_append_text(ret, "\"}]}}", err);
}

static void on_shot(struct buf *output, const struct error *err, void *userdata)
{
	struct asked *shot = userdata;
	AUTO(buf_done) struct buf text = {0};
	struct error problem;

	if (output && append_shot(shot, output, &text, &problem) < 0) {
		(void)error_prefix(&problem, "screenshot");
		err = &problem;
	} else if (err && err->code == ERR_TIMEOUT) {
		(void)error_set(&problem, ERR_TIMEOUT, FAILURE_NO_ANSWER);
		err = &problem;
	}
	if (err)
		answer_fail(shot->answer, err);
	else
		answer_succeed(shot->answer, &text);
	asked_free(shot);
}

static void screenshot(struct engine *engine, struct session *session,
		       const struct screenshot_wish *wish, struct answer *answer)
{
	struct dcv_engine *dcv = (struct dcv_engine *)(void *)engine;
	struct error err;
	struct asked *shot = asked_new(dcv, session->id, answer, &err);
	const struct dcv_order order = {
		.pool = DCV_POOL_SCREENSHOTS,
		.limit_ms = wish->limit_ms,
		.output_max_bytes = SCREENSHOT_MAX_BYTES,
		.is_waiting_counted = true,
		.is_owed = true,
		.done = on_shot,
		.userdata = shot,
	};
	struct dcv_arguments arguments = {0};

	if (!shot) {
		answer_fail(answer, &err);
		return;
	}
	dcv_arguments_add(&arguments, "get-screenshot");
	dcv_arguments_add(&arguments, "--json");
	dcv_arguments_add(&arguments, "--primary");
	dcv_arguments_add_option(&arguments, "--format",
				 strcmp(wish->format, "jpeg") == 0 ? "JPEG" : "PNG");
	dcv_arguments_add_number(&arguments, "--max-width", wish->max_width);
	dcv_arguments_add_number(&arguments, "--max-height", wish->max_height);
	dcv_arguments_add(&arguments, session->id);
	if (dcv_command_run(dcv->commands, &order, &arguments, NULL, &err) == 0)
		return;
	asked_free(shot);
	answer_fail(answer, &err);
}

/* --- permissions -------------------------------------------------------------------------------
 */

static void on_permissions(struct buf *output, const struct error *err, void *userdata)
{
	struct asked *asked = userdata;
	struct engine_session *part = find_part(asked->dcv, asked->session_id);

	(void)output;
	if (part)
		part->has_new_permissions = false;
	if (err)
		answer_fail(asked->answer, err);
	else
		answer_succeed_json(asked->answer, json_object());
	asked_free(asked);
}

static int run_set_permissions(struct dcv_engine *dcv, struct asked *asked, const char *path,
			       struct error *err)
{
	const struct dcv_order order = {
		.pool = DCV_POOL_GENERAL,
		.limit_ms = (unsigned long long)dcv->config->dcv_timeout * 1000,
		.output_max_bytes = OUTPUT_MAX_BYTES,
		.is_change = true,
		.is_owed = true,
		.done = on_permissions,
		.userdata = asked,
	};
	struct dcv_arguments arguments = {0};

	dcv_arguments_add(&arguments, "set-permissions");
	dcv_arguments_add_option(&arguments, "--session", asked->session_id);
	dcv_arguments_add_option(&arguments, "--file", path);
	return dcv_command_run(dcv->commands, &order, &arguments, NULL, err);
}

static int order_permissions(struct dcv_engine *dcv, const struct session *session,
			     const char *permissions, struct answer *answer, struct error *err)
{
	struct engine_session *part = session->part;
	AUTO(free_p) char *path = NULL;
	struct asked *asked;

	if (!part)
		return error_set(err, ERR_UNAVAILABLE, "the DCV server cannot be used");
	if (part->step == DCV_PREPARING || part->step == DCV_CREATING || part->step == DCV_UNSURE ||
	    part->has_new_permissions)
		return error_set(err, ERR_CONFLICT,
				 "the session is being changed already; try again");
	if (dcv_part_write_permissions(part, permissions, &path, err) < 0)
		return -1;
	asked = asked_new(dcv, session->id, answer, err);
	if (!asked)
		return -1;
	if (run_set_permissions(dcv, asked, path, err) < 0) {
		asked_free(asked);
		return -1;
	}
	part->has_new_permissions = true;
	return 0;
}

static void set_permissions(struct engine *engine, struct session *session, const char *permissions,
			    struct answer *answer)
{
	struct error err;

	if (order_permissions((struct dcv_engine *)(void *)engine, session, permissions, answer,
			      &err) < 0)
		answer_fail(answer, &err);
}

/* --- the engine --------------------------------------------------------------------------------
 */

static int search(struct engine *engine, struct error *err)
{
	struct dcv_engine *dcv = (struct dcv_engine *)(void *)engine;

	if (dcv_handover_init(dcv->handover_folder, err) < 0)
		return -1;
	begin_list(dcv);
	return 0;
}

static int check(struct engine *engine, struct error *err)
{
	if (engine->status.trouble)
		return error_set(err, ERR_UNAVAILABLE, "the DCV server cannot be used: %s",
				 engine->status.trouble);
	return 0;
}

static int create(struct engine *engine, struct session *session, struct error *err)
{
	struct dcv_engine *dcv = (struct dcv_engine *)(void *)engine;
	struct engine_session *part;

	if (check(engine, err) < 0)
		return -1;
	part = dcv_part_new(dcv, session, DCV_PREPARING, err);
	if (!part)
		return -1;
	if (dcv_part_create(part, err) == 0)
		return 0;
	dcv_part_free(part);
	return -1;
}

static void end(struct engine *engine, struct session *session, const char *reason)
{
	struct engine_session *part = session->part;

	(void)engine;
	if (!part->end_reason)
		part->end_reason = strdup(reason);
	dcv_part_close(part);
}

static void engine_free(struct engine *engine)
{
	struct dcv_engine *dcv = (struct dcv_engine *)(void *)engine;

	list_for_each_safe (part, &dcv->parts, struct engine_session, link) {
		part->command =
			NULL; /* it goes on, and the agent that comes next finds what it did */
		dcv_part_free(part);
	}
	dcv_commands_free(dcv->commands);
	timer_free(dcv->poll_timer);
	timer_free(dcv->status_timer);
	engine_status_done(&dcv->engine.status);
	free(dcv);
}

static const struct engine_ops ops = {
	.name = "dcv",
	.search = search,
	.check = check,
	.create = create,
	.end = end,
	.screenshot = screenshot,
	.set_permissions = set_permissions,
	.free = engine_free,
};

struct engine *dcv_engine_new(const struct dcv_options *options, struct error *err)
{
	struct dcv_engine *dcv = calloc(1, sizeof(*dcv));

	if (!dcv) {
		(void)error_oom(err);
		return NULL;
	}
	list_init(&dcv->parts);
	dcv->engine.ops = &ops;
	dcv->loop = options->loop;
	dcv->config = options->config;
	dcv->handover_folder = options->handover_folder;
	dcv->session_init = options->session_init;
	dcv->events = options->events;
	dcv->poll_timer = timer_new(dcv->loop, on_poll, dcv);
	dcv->status_timer = timer_new(dcv->loop, on_status_timer, dcv);
	dcv->commands = dcv_commands_new(dcv->loop, dcv->config->dcv_root, err);
	if (dcv->poll_timer && dcv->status_timer && dcv->commands)
		return &dcv->engine;
	if (!dcv->poll_timer || !dcv->status_timer)
		(void)error_oom(err);
	engine_free(&dcv->engine);
	return NULL;
}
