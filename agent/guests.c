#include "agent/guests.h"

#include <stdlib.h>
#include <string.h>

#include "agent/guest.h"
#include "agent/packet-listener.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/number.h"

#define GUESTS_MAX 4096

/* --- what the viewer says ----------------------------------------------------------------------
 */

static void on_hello(struct guests *guests, const struct message *message)
{
	struct engine_status *status = &guests->agent->engine->status;
	const char *port = message_get(message, "PORT"),
		   *path = message_get(message, "WEB_URL_PATH");
	long long number;

	if (!port || !path || !number_parse(port, 1, 65535, &number))
		return;
	json_decref(status->endpoints);
	status->endpoints = json_pack("[{s:s,s:I,s:s}]", "Protocol", "HTTP", "Port",
				      (json_int_t)number, "WebUrlPath", path);
	log_info("web viewer is there (port=%lld)", number);
	guests->agent->on_change(guests->agent->userdata);
	viewer_certificate_set_viewer(guests->agent, guests->viewer,
				      message_get(message, "CERTIFICATE") != NULL);
}

static struct guest *find(struct guests *guests, const char *tag)
{
	list_for_each (guest, &guests->guests, struct guest, link) {
		if (strcmp(guest->tag, tag) == 0)
			return guest;
	}
	return NULL;
}

static const struct viewer_operation {
	const char *name;
	const char *needs[5];
	bool is_of_known; /* a tag that has come before */
	void (*run)(struct guest *guest);
} viewer_operations[] = {
	{"check", {"TAG", "TOKEN", "ADDRESS"}, false, guest_check},
	{"connect", {"TAG", "TOKEN", "ADDRESS", "SESSION_ID"}, false, guest_connect},
	{"holds", {"TAG", "SESSION_ID", "USER", "ADDRESS"}, false, guest_hold},
	{"files", {"TAG"}, true, guest_connect_files},
	{"gone", {"TAG"}, true, guest_leave_alone},
};

static int begin(struct guests *guests, const struct viewer_operation *operation,
		 const struct message *message, struct error *err)
{
	struct guest *guest;

	for (size_t i = 0; i < ARRAY_SIZE(operation->needs) && operation->needs[i]; i++) {
		if (!message_get(message, operation->needs[i]))
			return error_set(err, ERR_INVALID, "%s without %s", operation->name,
					 operation->needs[i]);
	}
	guest = find(guests, message_get(message, "TAG"));
	if (!guest && operation->is_of_known)
		return 0; /* they were put out meanwhile */
	if (guest && !operation->is_of_known)
		return error_set(err, ERR_INVALID, "a tag is used twice");
	if (!guest && guests->n >= GUESTS_MAX)
		return error_set(err, ERR_LIMIT, "more than %d at a time", GUESTS_MAX);
	if (!guest)
		guest = guest_new(guests, message, err);
	if (!guest)
		return -1;
	operation->run(guest);
	return 0;
}

static int take_packet(struct guests *guests, const struct message *message, struct error *err)
{
	const char *name = message_get(message, "OPERATION");

	if (name && strcmp(name, "hello") == 0) {
		on_hello(guests, message);
		return 0;
	}
	if (name && strcmp(name, "certify") == 0) {
		viewer_certificate_ask(guests->agent, message);
		return 0;
	}
	for (size_t i = 0; name && i < ARRAY_SIZE(viewer_operations); i++) {
		if (strcmp(viewer_operations[i].name, name) == 0)
			return begin(guests, &viewer_operations[i], message, err);
	}
	return error_set(err, ERR_INVALID, "unknown operation");
}

/* --- the viewer --------------------------------------------------------------------------------
 */

/* It closes every connection that it has when it ends, so nobody is inside any more. */
static void drop_viewer(struct guests *guests)
{
	struct engine *engine = guests->agent->engine;

	packet_socket_free(guests->viewer);
	guests->viewer = NULL;
	viewer_certificate_set_viewer(guests->agent, NULL, false);
	list_for_each_safe (guest, &guests->guests, struct guest, link)
		guest_leave(guest);
	if (!engine)
		return;
	json_decref(engine->status.endpoints);
	engine->status.endpoints = NULL;
}

static void on_closed(const struct error *why, void *userdata)
{
	struct guests *guests = userdata;

	log_warning("web viewer is gone: %s", why->message);
	drop_viewer(guests);
	guests->agent->on_change(guests->agent->userdata);
}

static void on_packet(const struct message *message, int *fd, void *userdata)
{
	struct guests *guests = userdata;
	struct error err;

	(void)fd;
	if (take_packet(guests, message, &err) < 0)
		on_closed(&err, guests);
}

static void on_accept(int fd, void *userdata)
{
	static const struct packet_socket_handler handler = {on_packet, on_closed};
	struct guests *guests = userdata;
	struct error err;

	drop_viewer(guests);
	guests->viewer = packet_socket_new(guests->agent->loop, fd, &handler, guests, &err);
	if (!guests->viewer)
		log_error("web viewer: %s", err.message);
}

/* --- for others --------------------------------------------------------------------------------
 */

void guests_look(struct guests *guests)
{
	if (!guests)
		return;
	list_for_each_safe (guest, &guests->guests, struct guest, link) {
		if (guest->is_inside && !guest_session(guest))
			guest_put_out(guest, VIEWER_END_SESSION);
	}
}

void guests_update(struct guests *guests, const struct session *session)
{
	if (!guests)
		return;
	list_for_each_safe (guest, &guests->guests, struct guest, link) {
		if ((guest->is_inside || guest->is_awaited) &&
		    strcmp(guest->session_id, session->id) == 0)
			guest_ask_access(guest);
	}
}

struct guests *guests_new(struct agent *agent, const char *path, struct error *err)
{
	struct guests *guests = calloc(1, sizeof(*guests));

	if (!guests) {
		(void)error_oom(err);
		return NULL;
	}
	guests->agent = agent;
	list_init(&guests->guests);
	guests->refusals = refusals_new(agent->loop, err);
	if (guests->refusals)
		guests->admission =
			admission_new(agent->loop, agent->config, &agent->token_key, err);
	if (guests->admission)
		guests->listener = packet_listener_new(
			agent->loop, path, agent->config->viewer_user, on_accept, guests, err);
	if (guests->listener)
		return guests;
	guests_free(guests);
	return NULL;
}

void guests_stop(struct guests *guests)
{
	if (!guests)
		return;
	packet_listener_free(guests->listener);
	guests->listener = NULL;
	drop_viewer(guests);
	refusals_stop(guests->refusals);
}

void guests_free(struct guests *guests)
{
	if (!guests)
		return;
	admission_free(guests->admission);
	refusals_free(guests->refusals);
	free(guests);
}
