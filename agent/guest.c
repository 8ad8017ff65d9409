#include "agent/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/access.h"
#include "common/cleanup.h"
#include "common/features.h"
#include "common/log.h"
#include "common/text.h"

#define RETRY_MS 50 /* keeper or RFB server have too much to do just now */
#define TRIES_MAX 60
#define PER_USER_MAX 32 /* in a session without a limit, too */

/* --- memory ------------------------------------------------------------------------------------
 */

static void guest_unref(struct guest *guest)
{
	if (--guest->n_refs > 0)
		return;
	free(guest->tag);
	free(guest->token);
	free(guest->session_id);
	free(guest->address);
	free(guest->user);
	free(guest);
}

static bool copy(char **ret, const char *text)
{
	*ret = text ? strdup(text) : NULL;
	return *ret || !text;
}

struct guest *guest_new(struct guests *guests, const struct message *message, struct error *err)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	if (!guest) {
		(void)error_oom(err);
		return NULL;
	}
	guest->n_refs = 1;
	if (!copy(&guest->tag, message_get(message, "TAG")) ||
	    !copy(&guest->token, message_get(message, "TOKEN")) ||
	    !copy(&guest->session_id, message_get(message, "SESSION_ID")) ||
	    !copy(&guest->address, message_get(message, "ADDRESS")) ||
	    !copy(&guest->user, message_get(message, "USER"))) {
		guest_unref(guest);
		(void)error_oom(err);
		return NULL;
	}
	guest->guests = guests;
	list_init(&guest->wish.link);
	list_append(&guests->guests, &guest->link);
	guests->n++;
	return guest;
}

struct session *guest_session(const struct guest *guest)
{
	struct session *session =
		guest->session_id
			? session_list_find(&guest->guests->agent->sessions, guest->session_id)
			: NULL;

	return session && session->state == SESSION_READY ? session : NULL;
}

static bool has_files(const struct session *session)
{
	return session && session->serves_files && session->storage_root &&
	       session->storage_root[0];
}

/* --- what is said ------------------------------------------------------------------------------
 */

struct event {
	const char *name;
	const char *fields[10]; /* NAME, value, ... */
	int fd;                 /* -1: none */
};

static void say(struct guests *guests, const struct guest *guest, const struct event *event)
{
	AUTO(buf_done) struct buf packet = {0};
	struct error err = {0};
	int result = message_add(&packet, "EVENT", event->name, &err);

	if (result == 0)
		result = message_add(&packet, "TAG", guest->tag, &err);
	for (size_t i = 0; result == 0 && i < ARRAY_SIZE(event->fields) && event->fields[i]; i += 2)
		result = message_add(&packet, event->fields[i], event->fields[i + 1], &err);
	if (result == 0 && guests->viewer)
		result = packet_socket_send_fd(guests->viewer, &packet, event->fd, &err);
	if (result == 0)
		return;
	log_warning("web viewer: %s", err.message);
	/* it comes again, and is told anew about everybody whom it has let in */
	if (guests->viewer)
		packet_socket_break(guests->viewer);
}

static void say_number(struct guests *guests, const struct guest *guest, const char *event,
		       const char *name, unsigned long long value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", value);
	say(guests, guest, &(struct event){.name = event, .fields = {name, text}, .fd = -1});
}

/* --- counting ----------------------------------------------------------------------------------
 */

static void count(struct guest *guest, bool is_inside)
{
	struct agent *agent = guest->guests->agent;
	struct session *session = session_list_find(&agent->sessions, guest->session_id);
	struct error err;

	if (guest->is_inside == is_inside)
		return;
	guest->is_inside = is_inside;
	log_info("session %s: user %s %s (address=%s)", guest->session_id, guest->user,
		 is_inside ? "is connected" : "is disconnected", guest->address);
	if (!session)
		return;
	if (is_inside)
		session->n_connections++;
	else if (session->n_connections > 0)
		session->n_connections--;
	if (!is_inside && session->n_connections == 0) {
		session->disconnection_time_ms = time_now_ms();
		if (!session->is_host_made && session->state != SESSION_DELETED &&
		    session_list_save(&agent->sessions, session, &err) < 0)
			log_warning("session %s: %s", session->id, err.message);
	}
	if (agent->is_ready)
		agent->on_change(agent->userdata);
}

static bool is_owner_inside(const struct guests *guests, const struct session *session)
{
	list_for_each (guest, &guests->guests, struct guest, link) {
		if (guest->is_inside && guest->is_owner &&
		    strcmp(guest->session_id, session->id) == 0)
			return true;
	}
	return false;
}

/* --- leaving -----------------------------------------------------------------------------------
 */

/* May they be in the session while its owner is not? */
static bool may_be_alone(const struct guest *guest)
{
	return guest->is_owner ||
	       strcmp(guest->guests->agent->config->viewer_supervision, "enforced") != 0 ||
	       guest->features & FEATURE_BIT(FEATURE_unsupervised_access);
}

void guest_put_out(struct guest *guest, enum viewer_end reason)
{
	say_number(guest->guests, guest, "end", "REASON", reason);
	guest_leave(guest);
}

static void put_out_unsupervised(struct guests *guests, const struct session *session)
{
	if (is_owner_inside(guests, session))
		return;
	list_for_each_safe (guest, &guests->guests, struct guest, link) {
		if (guest->is_inside && strcmp(guest->session_id, session->id) == 0 &&
		    !may_be_alone(guest))
			guest_put_out(guest, VIEWER_END_SUPERVISION);
	}
}

void guest_leave(struct guest *guest)
{
	struct guests *guests = guest->guests;

	if (guest->is_inside)
		count(guest, false);
	list_remove(&guest->wish.link);
	timer_free(TAKE(guest->timer));
	list_remove(&guest->link);
	guests->n--;
	guest->guests = NULL;
	if (guest->is_awaited)
		guest_unref(guest);
	guest_unref(guest);
}

/* What follows for others when somebody has left by themselves. */
void guest_leave_alone(struct guest *guest)
{
	struct guests *guests = guest->guests;
	const struct session *session = guest->is_owner ? guest_session(guest) : NULL;

	guest_leave(guest);
	if (session)
		put_out_unsupervised(guests, session);
}

static void refuse(struct guest *guest, int status, const char *why)
{
	if (refusals_may_tell(guest->guests->refusals, guest->address, why))
		log_warning("session %s: %s of user %s is refused: %s (address=%s)",
			    guest->session_id ? guest->session_id : "?",
			    guest->is_checking ? "a token" : "a connection",
			    guest->user ? guest->user : "?", why, guest->address);
	say_number(guest->guests, guest, guest->is_checking ? "checked" : "refused", "STATUS",
		   (unsigned)status);
	guest_leave(guest);
}

/* --- coming in ---------------------------------------------------------------------------------
 */

/* Somebody whose connection broke comes again before it is noticed that they have gone. */
static bool make_room(struct guest *guest, const struct session *session)
{
	long long n = 0, n_own = 0, most = session->max_concurrent_clients;
	struct guest *older = NULL;

	list_for_each (other, &guest->guests->guests, struct guest, link) {
		if (other == guest || !(other->is_inside || other->is_awaited) ||
		    strcmp(other->session_id, session->id) != 0)
			continue;
		n++;
		n_own += strcmp(other->user, guest->user) == 0;
		if (!older && other->token && strcmp(other->token, guest->token) == 0)
			older = other;
	}
	if ((most <= 0 || n < most) && n_own < PER_USER_MAX)
		return true;
	if (!older)
		return false;
	guest_put_out(older, VIEWER_END_REPLACED);
	return true;
}

/* While the connection was made, permissions may have changed, and the owner may have left. */
static bool is_still_welcome(struct guest *guest)
{
	const struct session *session = guest_session(guest);

	if (!(guest->features & FEATURE_BIT(FEATURE_display)))
		refuse(guest, 403, "the permissions do not give the display any more");
	else if (!session)
		refuse(guest, 401, "the session is not there any more");
	else if (!may_be_alone(guest) && !is_owner_inside(guest->guests, session))
		refuse(guest, 403, "its owner is not there any more");
	else
		return true;
	return false;
}

static void on_connection(struct connection_wish *wish, int fd, const struct error *err)
{
	struct guest *guest = (struct guest *)(void *)wish;
	AUTO(close_p) int socket = fd;
	bool is_console;
	char features[24];

	if (socket < 0 && err->code == ERR_UNAVAILABLE && guest->timer &&
	    ++guest->n_tries < TRIES_MAX) {
		timer_start(guest->timer, RETRY_MS, 0);
		return;
	}
	timer_free(TAKE(guest->timer));
	guest->is_awaited = false;
	guest_unref(guest); /* the door's reference stays */
	if (socket < 0) {
		refuse(guest, err->code == ERR_UNSUPPORTED ? 501 : 503, err->message);
		return;
	}
	if (!is_still_welcome(guest))
		return;
	is_console = strcmp(guest_session(guest)->type, "CONSOLE") == 0;
	(void)snprintf(features, sizeof(features), "%u", guest->features);
	say(guest->guests, guest,
	    &(struct event){.name = "connected",
			    .fields = {"USER", guest->user, "FEATURES", features, "IS_OWNER",
				       guest->is_owner ? "1" : "0", "IS_CONSOLE",
				       is_console ? "1" : "0", "HAS_FILES",
				       has_files(guest_session(guest)) ? "1" : "0"},
			    .fd = socket});
	count(guest, true);
}

/* Whoever may not use them any more is told so by the viewer, which knows their features. */
static void on_files(struct connection_wish *wish, int fd, const struct error *err)
{
	const struct guest *guest = (const struct guest *)(const void *)wish;
	AUTO(close_p) int socket = fd;

	if (socket < 0)
		log_warning("session %s: its files: %s", guest->session_id, err->message);
	say(guest->guests, guest, &(struct event){.name = "files", .fd = socket});
}

void guest_connect_files(struct guest *guest)
{
	const uint32_t some = FEATURE_BIT(FEATURE_file_upload) | FEATURE_BIT(FEATURE_file_download);
	struct engine *engine = guest->guests->agent->engine;
	struct session *session = guest_session(guest);

	if (!has_files(session) || !(guest->features & some) || !guest->is_inside) {
		say(guest->guests, guest, &(struct event){.name = "files", .fd = -1});
		return;
	}
	list_remove(&guest->wish.link);
	guest->wish.give = on_files;
	guest->wish.folder = session->storage_root;
	engine->ops->connect(engine, session, &guest->wish);
}

/* Of a session that has ended meanwhile nobody gets a connection. */
static void connect_picture(void *userdata)
{
	struct guest *guest = userdata;
	struct engine *engine = guest->guests->agent->engine;
	struct session *session = guest_session(guest);
	struct error err;

	if (session) {
		engine->ops->connect(engine, session, &guest->wish);
		return;
	}
	guest->n_tries = TRIES_MAX;
	(void)error_set(&err, ERR_UNAVAILABLE, "the session has ended");
	on_connection(&guest->wish, -1, &err);
}

static void come_in(struct guest *guest, struct session *session)
{
	if (!may_be_alone(guest) && !is_owner_inside(guest->guests, session)) {
		refuse(guest, 403, "its owner is not there");
		return;
	}
	if (!guest->is_checking && !make_room(guest, session)) {
		refuse(guest, 429, "there are as many as may be");
		return;
	}
	if (guest->is_checking) {
		say_number(guest->guests, guest, "checked", "STATUS", 200);
		guest_leave(guest);
		return;
	}
	guest->n_refs++;
	guest->is_awaited = true;
	guest->wish.give = on_connection;
	guest->timer = timer_new(guest->guests->agent->loop, connect_picture, guest);
	connect_picture(guest);
}

/* Those inside have other rights. */
static void change(struct guest *guest, uint32_t features)
{
	struct guests *guests = guest->guests;
	const struct session *session = guest_session(guest);

	if (!session) {
		guest_put_out(guest, VIEWER_END_SESSION);
		return;
	}
	if (!(features & FEATURE_BIT(FEATURE_display))) {
		guest_put_out(guest, VIEWER_END_PERMISSION);
	} else {
		guest->features = features;
		say_number(guests, guest, "features", "FEATURES", features);
	}
	put_out_unsupervised(guests, session);
}

static void on_access(uint32_t features, void *userdata)
{
	struct guest *guest = userdata;
	struct session *session = guest->guests ? guest_session(guest) : NULL;

	if (!guest->guests) {
		; /* they have not waited */
	} else if (guest->is_inside) {
		change(guest, features);
	} else if (guest->is_awaited) {
		guest->features = features; /* told with the connection */
	} else if (!session) {
		refuse(guest, 401, "the session is not there or not ready");
	} else if (!(features & FEATURE_BIT(FEATURE_display))) {
		refuse(guest, 403, "the permissions do not give the display");
	} else {
		guest->features = features;
		guest->is_owner = session_is_of(session, guest->user);
		come_in(guest, session);
	}
	guest_unref(guest);
}

void guest_ask_access(struct guest *guest)
{
	struct agent *agent = guest->guests->agent;
	struct error err;

	guest->n_refs++;
	if (access_ask(agent->loop, &agent->sessions, guest->session_id, guest->user, on_access,
		       guest, &err) == 0)
		return;
	log_error("session %s: permissions of user %s: %s", guest->session_id, guest->user,
		  err.message);
	on_access(0, guest);
}

static void on_admission(const char *user, const struct error *err, void *userdata)
{
	struct guest *guest = userdata;

	if (guest->guests && user && copy(&guest->user, user) && user[0])
		guest_ask_access(guest);
	else if (guest->guests)
		refuse(guest, user || err->code != ERR_UNAUTHORIZED ? 503 : 401,
		       user ? "out of memory" : err->message);
	guest_unref(guest);
}

static int ask_admission(struct guest *guest, struct error *err)
{
	const struct admission_question question = {
		.token = guest->token, .session_id = guest->session_id, .address = guest->address};

	/* a stranger who knows no session of this host's makes no work for the broker */
	if (!guest_session(guest))
		return error_set(err, ERR_UNAUTHORIZED, "the session is not there or not ready");
	guest->n_refs++;
	if (admission_ask(guest->guests->admission, &question, on_admission, guest, err) == 0)
		return 0;
	guest_unref(guest);
	return -1;
}

void guest_connect(struct guest *guest)
{
	struct error err;

	if (ask_admission(guest, &err) < 0)
		refuse(guest, err.code == ERR_UNAUTHORIZED ? 401 : 503, err.message);
}

/* Whoever has a token that is good somewhere gets the page. */
void guest_check(struct guest *guest)
{
	struct error err = {0};

	guest->is_checking = true;
	guest->session_id = admission_session_of(guest->token, &err);
	if (!guest->session_id)
		refuse(guest, err.code == ERR_UNAUTHORIZED ? 401 : 503, err.message);
	else
		guest_connect(guest);
}

void guest_hold(struct guest *guest)
{
	const struct session *session = guest_session(guest);

	if (!session) {
		guest_put_out(guest, VIEWER_END_SESSION);
		return;
	}
	guest->is_owner = session_is_of(session, guest->user);
	count(guest, true);
	guest_ask_access(guest);
}
