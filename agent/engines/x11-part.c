#include "agent/engines/x11.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/protocol.h"
#include "common/cleanup.h"
#include "common/log.h"

#define ABSENT_MAX 20 /* X11_RETRY_MS each: a keeper takes less to make a folder, or remove it */
#define ADOPT_LIMIT_MS 3000 /* a keeper that says nothing does not hold up the agent's start */

void x11_part_stop_searching(struct engine_session *part)
{
	struct x11_engine *x11 = part->engine;

	if (!part->is_searching)
		return;
	part->is_searching = false;
	if (--x11->n_searching == 0 && x11->is_searched)
		x11->events.searched(x11->events.userdata);
}

void x11_part_fail_wishes(struct engine_session *part, const char *why)
{
	struct error err;

	(void)error_set(&err, ERR_UNAVAILABLE, "%s", why);
	list_for_each_safe (wish, &part->wishes, struct connection_wish, link) {
		list_remove(&wish->link);
		wish->give(wish, -1, &err);
	}
}

void x11_part_free(struct engine_session *part)
{
	if (part->session)
		part->session->part = NULL;
	x11_part_fail_wishes(part, "the session has ended");
	list_remove(&part->link);
	packet_socket_free(part->socket);
	timer_free(part->timer);
	capture_free(part->capture);
	free(part->render_node);
	free(part->end_reason);
	free(part);
}

/* Its last word: nothing of the session is left. */
void x11_part_end(struct engine_session *part, const char *reason, enum error_code code)
{
	struct x11_engine *x11 = part->engine;
	struct session *session = part->session;

	x11_part_stop_searching(part);
	if (part->end_reason) { /* whoever ended it has told why */
		reason = NULL;
		code = ERR_NONE;
	}
	x11_part_free(part);
	if (!session)
		return;
	x11->events.ended(session, reason, code, x11->events.userdata);
}

static void on_timer(void *userdata)
{
	struct engine_session *part = userdata;

	if (part->socket && part->is_searching) {
		log_warning("keeper %lld does not say whose session it keeps", part->number);
		x11_part_stop_searching(part);
		return;
	}
	x11_part_advance(part);
}

struct engine_session *x11_part_new(struct x11_engine *x11, struct error *err)
{
	struct engine_session *part = calloc(1, sizeof(*part));

	if (part)
		part->timer = timer_new(x11->loop, on_timer, part);
	if (!part || !part->timer) {
		free(part);
		(void)error_oom(err);
		return NULL;
	}
	part->engine = x11;
	part->number = -1;
	list_init(&part->wishes);
	list_append(&x11->parts, &part->link);
	return part;
}

/* --- the steps ---------------------------------------------------------------------------------
 */

static int connect_to(struct engine_session *part, const char *path, struct error *err)
{
	packet_socket_free(part->socket);
	part->socket =
		packet_socket_connect(part->engine->loop, path, &x11_keeper_handler, part, err);
	return part->socket ? 0 : -1;
}

int x11_part_start(struct engine_session *part, struct error *err)
{
	if (connect_to(part, part->engine->keeper_socket, err) < 0)
		return error_blame_host(err);
	if (x11_send_start(part, err) < 0)
		return -1;
	part->step = STEP_CONNECTED;
	return 0;
}

static int step_control(struct engine_session *part, struct error *err)
{
	char path[108];

	if (snprintf(path, sizeof(path), "%s/%lld/" KEEPER_CONTROL_SOCKET, part->engine->run_dir,
		     part->number) >= (int)sizeof(path))
		return error_set(err, ERR_CONFIG, "%s is too long for a socket's path",
				 part->engine->run_dir);
	if (connect_to(part, path, err) < 0)
		return -1;
	part->step = STEP_CONNECTED;
	return 0;
}

static int step_clean(struct engine_session *part, struct error *err)
{
	char number[24];

	(void)snprintf(number, sizeof(number), "%lld", part->number);
	if (connect_to(part, part->engine->keeper_socket, err) < 0 ||
	    x11_send_text(part, "clean", "NUMBER", number, err) < 0)
		return -1;
	return 0;
}

static bool has_folder(const struct engine_session *part)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%lld", part->engine->run_dir, part->number) <
		       (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

/* A control socket that nobody listens on is a killed keeper's, and so is a folder that stays
 * without one. Without the folder the session is over. Everything else is worth another try. */
static void on_step_failed(struct engine_session *part, const struct error *err)
{
	bool is_absent = part->step == STEP_CONTROL && err->code == ERR_NOT_FOUND &&
			 has_folder(part);

	if (is_absent && ++part->n_absent < ABSENT_MAX) {
		timer_start(part->timer, X11_RETRY_MS, 0);
	} else if (is_absent || (part->step == STEP_CONTROL && err->code == ERR_UNREACHABLE)) {
		part->step = STEP_CLEAN;
		x11_part_advance(part);
	} else if (part->step == STEP_CONTROL && err->code == ERR_NOT_FOUND) {
		x11_part_end(part, NULL, ERR_NONE);
	} else if (part->step == STEP_START && err->code != ERR_UNAVAILABLE) {
		x11_part_end(part, err->message, err->code);
	} else {
		if (err->code != ERR_UNAVAILABLE)
			log_warning("keeper of session %s: %s",
				    part->session ? part->session->id : "?", err->message);
		/* the agent's start does not wait for a listener that is not there */
		x11_part_stop_searching(part);
		timer_start(part->timer,
			    err->code == ERR_UNAVAILABLE ? X11_RETRY_MS : X11_RECONNECT_MS, 0);
	}
}

void x11_part_advance(struct engine_session *part)
{
	struct error err = {0};
	int result = 0;

	switch (part->step) {
	case STEP_START:
		result = x11_part_start(part, &err);
		break;
	case STEP_CONTROL:
		result = step_control(part, &err);
		break;
	case STEP_CLEAN:
		result = step_clean(part, &err);
		break;
	case STEP_CONNECTED:
		break;
	}
	if (result < 0)
		on_step_failed(part, &err);
	else if (part->is_searching && part->socket)
		timer_start(part->timer, ADOPT_LIMIT_MS, 0);
}
