#include "agent/viewer/vouch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/packet-socket.h"
#include "common/cleanup.h"
#include "common/list.h"
#include "common/log.h"
#include "common/number.h"

#define RETRY_MS 500
#define VISITORS_MAX 2048

struct vouch {
	struct loop *loop;
	struct vouch_options options;
	struct packet_socket *agent; /* NULL: it is away */
	struct timer *timer;
	struct list visitors; /* struct visitor::link */
	size_t n;
	unsigned long long n_tags;
	bool has_told; /* that it is away */
};

struct visitor {
	struct list link; /* vouch::visitors */
	struct vouch *vouch;
	char tag[24];
	char *session_id, *address, *user;
	bool is_inside;
	bool wants_files; /* and has had no answer */
	const struct vouch_events *events;
	void *userdata;
};

static void visitor_free(struct visitor *visitor)
{
	if (visitor->link.next) {
		list_remove(&visitor->link);
		visitor->vouch->n--;
	}
	free(visitor->session_id);
	free(visitor->address);
	free(visitor->user);
	free(visitor);
}

/* --- what is said ------------------------------------------------------------------------------
 */

/* @fields: NAME, value, ... to a NULL. */
static int say(struct vouch *vouch, const char *operation, const char *const *fields,
	       struct error *err)
{
	AUTO(buf_done) struct buf packet = {0};

	if (!vouch->agent)
		return error_set(err, ERR_UNAVAILABLE, "the agent is not there");
	if (message_add(&packet, "OPERATION", operation, err) < 0)
		return -1;
	for (; *fields; fields += 2) {
		if (message_add(&packet, fields[0], fields[1], err) < 0)
			return -1;
	}
	return packet_socket_send(vouch->agent, &packet, err);
}

static int say_hello(struct vouch *vouch, struct error *err)
{
	char port[12];
	/* in pairs; a NULL in the place of a name is the end */
	const char *const wish = vouch->options.certificate ? "CERTIFICATE" : NULL;
	const char *const fields[] = {
		"PORT", port, "WEB_URL_PATH", vouch->options.web_url_path, wish, "wanted", NULL};

	(void)snprintf(port, sizeof(port), "%d", vouch->options.port);
	if (say(vouch, "hello", fields, err) < 0)
		return -1;
	list_for_each (visitor, &vouch->visitors, struct visitor, link) {
		const char *const held[] = {
			"TAG",  visitor->tag,  "SESSION_ID", visitor->session_id,
			"USER", visitor->user, "ADDRESS",    visitor->address,
			NULL};

		if (visitor->is_inside && say(vouch, "holds", held, err) < 0)
			return -1;
	}
	return 0;
}

/* --- what the agent says -----------------------------------------------------------------------
 */

static void judge(struct visitor *visitor, int status)
{
	const struct vouch_events *events = visitor->events;
	void *userdata = visitor->userdata;

	visitor_free(visitor);
	events->judged(status, userdata);
}

static bool read_number(const struct message *message, const char *name, long long most,
			long long *ret)
{
	const char *text = message_get(message, name);

	return text && number_parse(text, 0, most, ret);
}

static int on_connected(struct visitor *visitor, const struct message *message, int *fd,
			struct error *err)
{
	const char *owner = message_get(message, "IS_OWNER"), *user = message_get(message, "USER");
	const char *console = message_get(message, "IS_CONSOLE");
	const char *files = message_get(message, "HAS_FILES");
	long long features;

	if (visitor->is_inside || !owner || !console || !files || !user || *fd < 0 ||
	    !read_number(message, "FEATURES", UINT32_MAX, &features))
		return error_set(err, ERR_INVALID, "connected: not understood");
	visitor->user = strdup(user);
	if (!visitor->user)
		return error_oom(err);
	visitor->is_inside = true;
	visitor->events->admitted(&(struct admittance){.user = visitor->user,
						       .features = (uint32_t)features,
						       .is_owner = strcmp(owner, "1") == 0,
						       .is_console = strcmp(console, "1") == 0,
						       .has_files = strcmp(files, "1") == 0,
						       .fd = TAKE_FD(*fd)},
				  visitor->userdata);
	return 0;
}

static void tell_files(struct visitor *visitor, int fd)
{
	visitor->wants_files = false;
	visitor->events->files(fd, visitor->userdata);
}

static int on_end(struct visitor *visitor, const struct message *message, struct error *err)
{
	const struct vouch_events *events = visitor->events;
	void *userdata = visitor->userdata;
	bool is_inside = visitor->is_inside;
	long long reason;

	if (!read_number(message, "REASON", VIEWER_N_ENDS - 1, &reason))
		return error_set(err, ERR_INVALID, "end: not understood");
	visitor_free(visitor);
	if (is_inside)
		events->put_out((enum viewer_end)reason, userdata);
	else
		events->judged(503, userdata);
	return 0;
}

static struct visitor *find(struct vouch *vouch, const char *tag)
{
	list_for_each (visitor, &vouch->visitors, struct visitor, link) {
		if (strcmp(visitor->tag, tag) == 0)
			return visitor;
	}
	return NULL;
}

/* False: it is about somebody. */
static bool take_certificate_event(struct vouch *vouch, const struct message *message,
				   const char *event)
{
	const struct vouch_certificate_events *events = vouch->options.certificate;
	void *userdata = vouch->options.certificate_userdata;
	const char *names = message_get(message, "NAMES"),
		   *authority = message_get(message, "AUTHORITY"),
		   *certificate = message_get(message, "CERTIFICATE"),
		   *reason = message_get(message, "REASON");

	if (events && strcmp(event, "host") == 0 && names && (authority || reason))
		events->host(names, authority, reason, userdata);
	else if (events && strcmp(event, "certified") == 0 && certificate)
		events->answered(certificate, NULL, userdata);
	else if (events && strcmp(event, "uncertified") == 0 && reason)
		events->answered(NULL, reason, userdata);
	else
		return false;
	return true;
}

static int take_event(struct vouch *vouch, const struct message *message, int *fd,
		      struct error *err)
{
	const char *event = message_get(message, "EVENT"), *tag = message_get(message, "TAG");
	struct visitor *visitor;
	long long number;

	if (event && take_certificate_event(vouch, message, event))
		return 0;
	if (!event || !tag)
		return error_set(err, ERR_INVALID, "a message without EVENT or TAG");
	visitor = find(vouch, tag);
	if (!visitor)
		return 0; /* they have left meanwhile */
	if (strcmp(event, "connected") == 0)
		return on_connected(visitor, message, fd, err);
	if (strcmp(event, "end") == 0)
		return on_end(visitor, message, err);
	if ((strcmp(event, "checked") == 0 || strcmp(event, "refused") == 0) &&
	    !visitor->is_inside && read_number(message, "STATUS", 599, &number))
		judge(visitor, (int)number);
	else if (strcmp(event, "files") == 0 && visitor->wants_files)
		tell_files(visitor, *fd < 0 ? -1 : TAKE_FD(*fd));
	else if (strcmp(event, "features") == 0 && visitor->is_inside &&
		 read_number(message, "FEATURES", UINT32_MAX, &number))
		visitor->events->features((uint32_t)number, visitor->userdata);
	else
		return error_set(err, ERR_INVALID, "event '%.20s' is not understood", event);
	return 0;
}

/* --- up and down -------------------------------------------------------------------------------
 */

/* Those at the door have asked in vain; those inside stay. */
static void drop_agent(struct vouch *vouch)
{
	packet_socket_free(vouch->agent);
	vouch->agent = NULL;
	timer_start(vouch->timer, RETRY_MS, 0);
	list_for_each_safe (visitor, &vouch->visitors, struct visitor, link) {
		if (visitor->wants_files)
			tell_files(visitor, -1);
		if (!visitor->is_inside)
			judge(visitor, 503);
	}
}

static void on_closed(const struct error *why, void *userdata)
{
	struct vouch *vouch = userdata;

	log_warning("the agent is gone: %s", why->message);
	drop_agent(vouch);
}

static void on_packet(const struct message *message, int *fd, void *userdata)
{
	struct error err;

	if (take_event(userdata, message, fd, &err) < 0)
		on_closed(&err, userdata);
}

static void connect_agent(void *userdata)
{
	static const struct packet_socket_handler handler = {on_packet, on_closed};
	struct vouch *vouch = userdata;
	struct error err;

	vouch->agent =
		packet_socket_connect(vouch->loop, vouch->options.socket, &handler, vouch, &err);
	if (vouch->agent && say_hello(vouch, &err) == 0) {
		log_info("the agent is there");
		vouch->has_told = false;
		return;
	}
	if (!vouch->has_told)
		log_warning("the agent is not there: %s", err.message);
	vouch->has_told = true;
	drop_agent(vouch);
}

struct vouch *vouch_new(struct loop *loop, const struct vouch_options *options, struct error *err)
{
	struct vouch *vouch = calloc(1, sizeof(*vouch));

	if (vouch)
		vouch->timer = timer_new(loop, connect_agent, vouch);
	if (!vouch || !vouch->timer) {
		free(vouch);
		(void)error_oom(err);
		return NULL;
	}
	vouch->loop = loop;
	vouch->options = *options;
	list_init(&vouch->visitors);
	connect_agent(vouch);
	return vouch;
}

void vouch_stop(struct vouch *vouch)
{
	if (!vouch)
		return;
	timer_free(vouch->timer);
	vouch->timer = NULL;
	packet_socket_free(vouch->agent);
	vouch->agent = NULL;
}

void vouch_free(struct vouch *vouch)
{
	if (!vouch)
		return;
	list_for_each_safe (visitor, &vouch->visitors, struct visitor, link)
		visitor_free(visitor);
	free(vouch);
}

/* --- visitors ----------------------------------------------------------------------------------
 */

static struct visitor *visitor_new(struct vouch *vouch, const struct vouch_question *question)
{
	struct visitor *visitor = calloc(1, sizeof(*visitor));

	if (!visitor)
		return NULL;
	visitor->vouch = vouch;
	visitor->events = question->events;
	visitor->userdata = question->userdata;
	visitor->address = strdup(question->address);
	visitor->session_id = question->session_id ? strdup(question->session_id) : NULL;
	(void)snprintf(visitor->tag, sizeof(visitor->tag), "%llu", vouch->n_tags++);
	if (visitor->address && (visitor->session_id || !question->session_id))
		return visitor;
	visitor_free(visitor);
	return NULL;
}

int vouch_ask_certificate(struct vouch *vouch, const char *request, struct error *err)
{
	const char *const fields[] = {"REQUEST", request, NULL};

	return say(vouch, "certify", fields, err);
}

struct visitor *vouch_ask(struct vouch *vouch, const struct vouch_question *question,
			  struct error *err)
{
	struct visitor *visitor;
	const char *fields[] = {"TAG", NULL, "TOKEN", question->token, "ADDRESS", question->address,
				NULL,  NULL, NULL};

	if (strlen(question->token) > VIEWER_TOKEN_MAX_BYTES) {
		(void)error_set(err, ERR_UNAUTHORIZED, "the token is too long");
		return NULL;
	}
	if (vouch->n >= VISITORS_MAX) {
		(void)error_set(err, ERR_LIMIT, "more than %d at a time", VISITORS_MAX);
		return NULL;
	}
	visitor = visitor_new(vouch, question);
	if (!visitor) {
		(void)error_oom(err);
		return NULL;
	}
	fields[1] = visitor->tag;
	if (question->session_id) {
		fields[6] = "SESSION_ID";
		fields[7] = question->session_id;
	}
	if (say(vouch, question->session_id ? "connect" : "check", fields, err) < 0) {
		visitor_free(visitor);
		return NULL;
	}
	list_append(&vouch->visitors, &visitor->link);
	vouch->n++;
	return visitor;
}

int vouch_want_files(struct visitor *visitor, struct error *err)
{
	const char *const fields[] = {"TAG", visitor->tag, NULL};

	if (say(visitor->vouch, "files", fields, err) < 0)
		return -1;
	visitor->wants_files = true;
	return 0;
}

void vouch_leave(struct visitor *visitor)
{
	const char *fields[] = {"TAG", NULL, NULL};
	struct vouch *vouch;
	struct error err;

	if (!visitor)
		return;
	vouch = visitor->vouch;
	fields[1] = visitor->tag;
	if (vouch->agent && say(vouch, "gone", fields, &err) < 0) {
		log_warning("the agent: %s", err.message);
		packet_socket_break(vouch->agent); /* else they would count as inside for ever */
	}
	visitor_free(visitor);
}
