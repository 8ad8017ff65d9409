/* DescribeServers, OpenServers, CloseServers. */
#include <stdlib.h>
#include <string.h>

#include "broker-lite/broker.h"
#include "broker-lite/operation.h"
#include "broker-lite/wanted.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/json.h"
#include "common/page.h"
#include "common/requests.h"

/* --- DescribeServers ---------------------------------------------------------------------------
 */

static int append_servers(struct server_list *list, const struct describe_servers_request *request,
			  const struct wanted *wanted, size_t at, struct buf *text,
			  struct error *err)
{
	size_t left = request->max_results > 0 ? (size_t)request->max_results : RESULTS_MAX;
	const struct server *last = NULL;

	for (; at < list->by_id.n; at++) {
		struct server *server = list->by_id.items[at];
		const struct buf *item;

		if (!server->report || !wanted_has(wanted, server->id))
			continue;
		if (left-- == 0) {
			if (buf_append_text(text, "],\"NextToken\":\"", err) < 0 ||
			    page_token_append(PAGE_OF_SERVERS, last->id, "", text, err) < 0)
				return -1;
			return buf_append_text(text, "\"}", err);
		}
		item = server_text(server);
		if (!item)
			return error_oom(err);
		if ((last && buf_append_text(text, ",", err) < 0) ||
		    buf_append(text, item->data, item->len, err) < 0)
			return -1;
		last = server;
	}
	return buf_append_text(text, "]}", err);
}

void operation_describe_servers(struct broker *broker, const void *fields, struct answer *answer)
{
	const struct describe_servers_request *request = fields;
	struct server_list *list = &broker->fleet.servers;
	struct page_mark mark = {0};
	AUTO(wanted_done) struct wanted wanted = {0};
	AUTO(buf_done) struct buf text = {0};
	struct error err = {0};
	size_t at = 0;

	if ((!request->next_token ||
	     page_token_read(PAGE_OF_SERVERS, request->next_token, &mark, &err) == 0) &&
	    wanted_init(&wanted, request->server_ids, &err) == 0) {
		if (mark.id)
			at = sorted_position(&list->by_id, mark.id);
		if (mark.id && server_list_find(list, mark.id))
			at++;
		if (buf_append_text(&text, "{\"Servers\":[", &err) == 0)
			(void)append_servers(list, request, &wanted, at, &text, &err);
	}
	page_mark_done(&mark);
	if (err.code == ERR_NONE)
		answer_succeed(answer, &text);
	else
		answer_fail(answer, &err);
}

/* --- OpenServers, CloseServers -----------------------------------------------------------------
 */

struct marking {
	struct broker *broker;
	struct answer *answer;
	char *id;
	bool was_closed; /* what it goes back to when the store fails */
};

static struct marking *marking_new(struct broker *broker, struct answer *answer,
				   const struct server *server)
{
	struct marking *marking = malloc(sizeof(*marking));

	if (!marking)
		return NULL;
	*marking = (struct marking){broker, answer, strdup(server->id), server->is_closed};
	if (marking->id)
		return marking;
	free(marking);
	return NULL;
}

static void marking_end(struct marking *marking, const struct error *err)
{
	if (err)
		answer_fail(marking->answer, err);
	else
		answer_succeed_json(marking->answer, json_pack("{s:s}", "ServerId", marking->id));
	free(marking->id);
	free(marking);
}

static struct server *find_listed(struct broker *broker, const char *id, struct error *err)
{
	struct server *server = server_list_find(&broker->fleet.servers, id);

	if (server && server->report)
		return server;
	(void)error_set(err, ERR_NOT_FOUND, FAILURE_NO_SUCH_SERVER);
	return NULL;
}

/* The host's own mark is cleared now or, if it does not answer, is still told by its reports. */
static void on_opened(const char *body, size_t len, const struct error *err, void *userdata)
{
	(void)body;
	(void)len;
	(void)err;
	marking_end(userdata, NULL);
}

static void on_mark_removed(const struct error *failure, void *userdata)
{
	struct marking *marking = userdata;
	struct fleet *fleet = &marking->broker->fleet;
	struct server *server = server_list_find(&fleet->servers, marking->id);
	struct error err;
	struct relay_command command = {
		.operation = OPERATION_open_servers,
		.context.request_id = answer_request_id(marking->answer),
		.fn = on_opened,
		.userdata = marking,
	};

	if (failure && server) {
		server->is_closed = marking->was_closed;
		server_touch(server);
	}
	if (failure) {
		marking_end(marking, failure);
		return;
	}
	creation_poke(&fleet->creation, server);
	command.body = answer_asked_text(marking->answer, &command.body_len, &err);
	if (relay_send(&fleet->relay, server && command.body ? server->agent : NULL, &command,
		       &err) < 0)
		marking_end(marking, NULL);
}

void operation_open_servers(struct broker *broker, const void *fields, struct answer *answer)
{
	const struct open_server_request *request = fields;
	struct error err = {0};
	struct server *server = find_listed(broker, request->server_id, &err);
	struct marking *marking = NULL;

	if (server && !(marking = marking_new(broker, answer, server)))
		(void)error_oom(&err);
	if (marking && server_list_set_closed(&broker->fleet.servers, server, false,
					      on_mark_removed, marking, &err) == 0)
		return;
	if (marking)
		marking_end(marking, &err);
	else
		answer_fail(answer, &err);
}

static void on_closed(const struct error *err, void *userdata)
{
	struct marking *marking = userdata;
	struct server *server = server_list_find(&marking->broker->fleet.servers, marking->id);

	if (err && server) {
		server->is_closed = marking->was_closed;
		server_touch(server);
	}
	marking_end(marking, err);
}

void operation_close_servers(struct broker *broker, const void *fields, struct answer *answer)
{
	const struct close_server_request *request = fields;
	struct error err = {0};
	struct server *server = find_listed(broker, request->server_id, &err);
	struct marking *marking = NULL;

	if (server && !request->force && server->n_console + server->n_virtual > 0)
		(void)error_set(&err, ERR_CONFLICT, FAILURE_SERVER_HAS_SESSIONS);
	else if (server && !(marking = marking_new(broker, answer, server)))
		(void)error_oom(&err);
	if (marking && server_list_set_closed(&broker->fleet.servers, server, true, on_closed,
					      marking, &err) == 0)
		return;
	if (marking)
		marking_end(marking, &err);
	else
		answer_fail(answer, &err);
}
