#include "broker-lite/relay.h"

#include <stdlib.h>

#include "broker-lite/agent-list.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/log.h"

#define CONTEXT_BYTES 512 /* enough for most */

/* How long an agent has for its answer. */
static const unsigned timeouts_ms[N_OPERATIONS] = {
	[OPERATION_create_sessions] = 30000,
	[OPERATION_delete_sessions] = 30000,
	[OPERATION_update_session_permissions] = 4000,
	[OPERATION_get_session_screenshots] = 6000,
	[OPERATION_open_servers] = 4000,
};

struct pending {
	struct list link;     /* agent::pending */
	struct list deadline; /* relay::by_deadline */
	unsigned long long deadline_ms;
	long long id;
	relay_fn fn;
	void *userdata;
};

static void pending_end(struct pending *pending, const char *body, size_t len,
			const struct error *err)
{
	list_remove(&pending->link);
	list_remove(&pending->deadline);
	pending->fn(body, len, err, pending->userdata);
	free(pending);
}

/* --- deadlines ---------------------------------------------------------------------------------
 */

static struct pending *first_of(const struct list *by_deadline)
{
	return list_is_empty(by_deadline) ? NULL
					  : list_entry(by_deadline->next, struct pending, deadline);
}

/* The timer is left alone when a reply comes: there is nearly always another command to wait for. */
static void watch(struct relay *relay, const struct pending *pending)
{
	unsigned long long now_ms = loop_now_ms(relay->loop);

	if (timer_is_active(relay->timer) && relay->timer_ms <= pending->deadline_ms)
		return;
	relay->timer_ms = pending->deadline_ms;
	timer_start(relay->timer, pending->deadline_ms > now_ms ? pending->deadline_ms - now_ms : 0,
		    0);
}

static void on_deadline(void *userdata)
{
	struct relay *relay = userdata;
	unsigned long long now_ms = loop_now_ms(relay->loop);
	struct pending *pending;
	struct error err;

	(void)error_set(&err, ERR_TIMEOUT, FAILURE_NO_ANSWER);
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		while ((pending = first_of(&relay->by_deadline[i])) &&
		       pending->deadline_ms <= now_ms)
			pending_end(pending, NULL, 0, &err);
	}
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		pending = first_of(&relay->by_deadline[i]);
		if (pending)
			watch(relay, pending);
	}
}

int relay_init(struct relay *relay, struct loop *loop, struct error *err)
{
	*relay = (struct relay){.loop = loop};
	for (size_t i = 0; i < N_OPERATIONS; i++)
		list_init(&relay->by_deadline[i]);
	relay->timer = timer_new(loop, on_deadline, relay);
	return relay->timer ? 0 : error_oom(err);
}

void relay_stop(struct relay *relay)
{
	timer_free(TAKE(relay->timer));
}

/* --- commands ----------------------------------------------------------------------------------
 */

static int append_text(struct buf *buf, const char *name, const char *value, struct error *err)
{
	if (!value || !*value)
		return 0;
	if (buf_append_text(buf, name, err) < 0 || json_append_string(buf, value, err) < 0)
		return -1;
	return buf_append(buf, ",", 1, err);
}

static int append_number(struct buf *buf, const char *name, long long value, struct error *err)
{
	if (value == 0)
		return 0;
	if (buf_append_text(buf, name, err) < 0 || json_append_integer(buf, value, err) < 0)
		return -1;
	return buf_append(buf, ",", 1, err);
}

static int append_context(struct buf *buf, const struct relay_context *context, struct error *err)
{
	if (append_text(buf, "\"SessionId\":", context->session_id, err) < 0 ||
	    append_text(buf, "\"CreationTime\":", context->creation_time, err) < 0 ||
	    append_text(buf, "\"RequestId\":", context->request_id, err) < 0 ||
	    append_text(buf, "\"Format\":", context->format, err) < 0 ||
	    append_number(buf, "\"Attempt\":", context->attempt, err) < 0 ||
	    append_number(buf, "\"MaxWidth\":", context->max_width, err) < 0)
		return -1;
	return append_number(buf, "\"MaxHeight\":", context->max_height, err);
}

static int write_command(struct buf *text, long long id, const struct relay_command *command,
			 struct error *err)
{
	if (buf_reserve(text, CONTEXT_BYTES + command->body_len, err) < 0 ||
	    buf_append_text(text, "{\"id\":", err) < 0 || json_append_integer(text, id, err) < 0 ||
	    buf_append_text(text, ",\"operation\":\"", err) < 0 ||
	    buf_append_text(text, operations[command->operation].name, err) < 0 ||
	    buf_append_text(text, "\",\"context\":{", err) < 0 ||
	    append_context(text, &command->context, err) < 0 ||
	    buf_append_text(text, "\"Deadline\":", err) < 0 ||
	    json_append_integer(text, timeouts_ms[command->operation], err) < 0 ||
	    buf_append_text(text, "},\"body\":", err) < 0 ||
	    buf_append(text, command->body, command->body_len, err) < 0)
		return -1;
	return buf_append(text, "}", 1, err);
}

int relay_send(struct relay *relay, struct agent *agent, const struct relay_command *command,
	       struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	AUTO(free_p) struct pending *pending = NULL;

	if (!agent || !relay->timer)
		return error_set(err, ERR_UNREACHABLE, FAILURE_NO_ANSWER);
	pending = calloc(1, sizeof(*pending));
	if (!pending)
		return error_oom(err);
	pending->id = ++relay->last_id;
	pending->fn = command->fn;
	pending->userdata = command->userdata;
	pending->deadline_ms = loop_now_ms(relay->loop) + timeouts_ms[command->operation];
	if (write_command(&text, pending->id, command, err) < 0 ||
	    agent_send(agent, text.data, text.len, err) < 0)
		return -1;
	list_append(&agent->pending, &pending->link);
	list_append(&relay->by_deadline[command->operation], &pending->deadline);
	watch(relay, TAKE(pending));
	return 0;
}

void relay_reply(struct agent *agent, const struct link_message *message)
{
	struct error err = {0};

	list_for_each (pending, &agent->pending, struct pending, link) {
		if (pending->id != message->id)
			continue;
		if (message->status == 200) {
			pending_end(pending, message->body, message->body_len, NULL);
		} else {
			link_message_read_failure(message, &err);
			pending_end(pending, NULL, 0, &err);
		}
		return;
	}
	log_debug("late reply from agent %s dropped (id=%lld)", agent_name(agent), message->id);
}

void relay_cancel(struct agent *agent, const struct error *err)
{
	while (!list_is_empty(&agent->pending))
		pending_end(list_entry(agent->pending.next, struct pending, link), NULL, 0, err);
}
