#include "broker-lite/relay.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker-lite/agent-list.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/log.h"

#define COMMAND_BYTES 512 /* enough for most commands */

struct pending {
	struct list link; /* agent::pending */
	long long id;
	struct timer *timer;
	relay_fn fn;
	void *userdata;
};

static void pending_end(struct pending *pending, const char *body, size_t len,
			const struct error *err)
{
	list_remove(&pending->link);
	timer_free(pending->timer);
	pending->fn(body, len, err, pending->userdata);
	free(pending);
}

static void on_deadline(void *userdata)
{
	struct error err;

	(void)error_set(&err, ERR_TIMEOUT, FAILURE_NO_ANSWER);
	pending_end(userdata, NULL, 0, &err);
}

static int write_command(struct buf *text, long long id, const struct relay_command *command,
			 struct error *err)
{
	char head[128];
	int n;

	if (!command->context || json_object_set_new(command->context, "Deadline",
						     json_integer(command->timeout_ms)) < 0)
		return error_oom(err);
	n = snprintf(head, sizeof(head), "{\"id\":%lld,\"operation\":\"%s\",\"context\":", id,
		     operations[command->operation].name);
	if (buf_reserve(text, COMMAND_BYTES, err) < 0 ||
	    buf_append(text, head, (size_t)n, err) < 0 ||
	    json_append(text, command->context, err) < 0 ||
	    buf_append_text(text, ",\"body\":", err) < 0 ||
	    json_append(text, command->body, err) < 0)
		return -1;
	return buf_append_text(text, "}", err);
}

int relay_send(struct relay *relay, struct agent *agent, const struct relay_command *command,
	       struct error *err)
{
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *context = command->context;
	AUTO(free_p) struct pending *pending = calloc(1, sizeof(*pending));

	(void)context; /* released at the end */
	if (!agent)
		return error_set(err, ERR_UNREACHABLE, FAILURE_NO_ANSWER);
	if (!pending)
		return error_oom(err);
	pending->id = ++relay->last_id;
	pending->fn = command->fn;
	pending->userdata = command->userdata;
	if (write_command(&text, pending->id, command, err) < 0)
		return -1;
	pending->timer = timer_new(relay->loop, on_deadline, pending);
	if (!pending->timer)
		return error_oom(err);
	if (agent_send(agent, text.data, text.len, err) < 0) {
		timer_free(pending->timer);
		return -1;
	}
	timer_start(pending->timer, command->timeout_ms, 0);
	list_append(&agent->pending, &pending->link);
	(void)TAKE(pending);
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
