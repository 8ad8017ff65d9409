#include "broker-lite/agent-list.h"

#include <stdlib.h>
#include <string.h>

#include "broker-lite/certification.h"
#include "broker-lite/fleet.h"
#include "broker-lite/link-message.h"
#include "broker-lite/report.h"
#include "common/cleanup.h"
#include "common/failures.h"
#include "common/link-protocol.h"
#include "common/log.h"
#include "common/text.h"

const char *agent_name(const struct agent *agent)
{
	if (agent->client)
		return agent->client->name;
	return agent->ws ? ws_peer_address(agent->ws) : "?";
}

int agent_send(struct agent *agent, const char *text, size_t len, struct error *err)
{
	if (!agent->ws)
		return error_set(err, ERR_UNREACHABLE, FAILURE_NO_ANSWER);
	return ws_send(agent->ws, text, len, err);
}

static void agent_close(struct agent *agent, const char *why)
{
	if (agent->ws)
		ws_close(agent->ws, LWS_CLOSE_STATUS_POLICY_VIOLATION, why);
}

/* --- the WebSocket -----------------------------------------------------------------------------
 */

static int check(struct agent_list *list, const char *authorization, struct client **ret)
{
	const struct http_header *headers;
	struct error err = {0};

	if (!list->authorization)
		return 0;
	if (authorization_check(list->authorization, CLIENT_AGENT, *authorization != '\0',
				authorization, ret, &headers, &err) == 0)
		return 0;
	if (log_limit_passes(&list->refusals, "links refused"))
		log_warning("link refused: %s", err.message);
	return error_http_status(err.code);
}

static int on_authorize(const char *authorization, void *userdata)
{
	struct client *client = NULL;

	return check(userdata, authorization, &client);
}

static void end_older_links(struct agent_list *list, const struct agent *newest)
{
	list_for_each_safe (agent, &list->agents, struct agent, link) {
		if (agent == newest || !agent->client || agent->client != newest->client)
			continue;
		log_info("older link of agent %s closed", agent_name(agent));
		agent_close(agent, "a newer link of this agent stands");
	}
}

static void greet(struct agent_list *list, struct agent *agent)
{
	/* who is not known gets no certificate */
	const char *authority = agent->client ? security_signer(list->security) : "";
	char hello[256];
	struct error err;
	int n = snprintf(hello, sizeof(hello),
			 "{\"event\":\"hello\",\"body\":{\"MessageMaxBytes\":%zu,\"Time\":%lld,"
			 "\"Authority\":\"%s\"}}",
			 list->handler.message_max_bytes, time_now_ms(), authority);

	(void)agent_send(agent, hello, (size_t)n, &err);
}

void agent_list_greet(struct agent_list *list)
{
	list_for_each (agent, &list->agents, struct agent, link)
		greet(list, agent);
}

static void on_open(struct ws *ws, const char *authorization, void *userdata)
{
	struct agent_list *list = userdata;
	struct agent *agent = calloc(1, sizeof(*agent));
	struct client *client = NULL;

	if (!agent || check(list, authorization, &client) != 0) {
		ws_close(ws, LWS_CLOSE_STATUS_POLICY_VIOLATION, "not authorized");
		free(agent);
		return;
	}
	agent->ws = ws;
	agent->client = client;
	list_init(&agent->pending);
	list_append(&list->agents, &agent->link);
	ws_set_user(ws, agent);
	end_older_links(list, agent);
	log_info("agent %s connected (peer=%s)", agent_name(agent), ws_peer_address(ws));
	greet(list, agent);
}

static void confirm_report(struct agent *agent)
{
	char id[UUID_SIZE], text[160], *to = id;
	struct error err;
	int n;

	uuid_make(id);
	for (const char *from = id; *from; from++) {
		if (*from != '-')
			*to++ = *from;
	}
	*to = '\0';
	n = snprintf(text, sizeof(text),
		     "{\"event\":\"reportReceived\",\"body\":{\"sessionsUpdateResponse\":"
		     "{\"requestId\":\"%s\",\"result\":{\"success\":true}}}}",
		     id);
	(void)agent_send(agent, text, (size_t)n, &err);
}

static void on_message(struct ws *ws, const char *text, size_t len, void *userdata)
{
	struct agent_list *list = userdata;
	struct agent *agent = ws_user(ws);
	struct link_message message;
	struct error err = {0};

	if (!agent)
		return;
	if (link_message_read(text, len, &message, &err) < 0 ||
	    (message.kind == LINK_REPORT &&
	     report_apply(list->fleet, agent, message.body, message.body_len, &err) < 0)) {
		log_warning("link of agent %s closed: %s", agent_name(agent), err.message);
		agent_close(agent, err.message);
		return;
	}
	if (message.kind == LINK_REPORT)
		confirm_report(agent);
	else if (message.kind == LINK_CERTIFICATE_REQUEST)
		certification_take(list->certification, agent, message.body, message.body_len);
	else
		relay_reply(agent, &message);
}

static void agent_free(struct agent_list *list, struct agent *agent)
{
	struct error err;

	(void)error_set(&err, ERR_UNREACHABLE, FAILURE_NO_ANSWER);
	agent->ws = NULL;
	list_remove(&agent->link);
	fleet_link_lost(list->fleet, agent);
	relay_cancel(agent, &err);
	free(agent);
}

static void on_close(struct ws *ws, const char *why, void *userdata)
{
	struct agent *agent = ws_user(ws);

	if (!agent)
		return;
	log_info("agent %s disconnected: %s", agent_name(agent), why);
	agent_free(userdata, agent);
}

/* --- the list ----------------------------------------------------------------------------------
 */

void agent_list_init(struct agent_list *list, const struct agent_list_parts *parts)
{
	*list = (struct agent_list){
		.handler =
			{
				.protocol = LINK_PROTOCOL,
				.path = LINK_PATH,
				.message_max_bytes = parts->message_max_bytes,
				.queue_max_bytes = parts->message_max_bytes,
				.authorize = on_authorize,
				.open = on_open,
				.message = on_message,
				.close = on_close,
			},
		.authorization = parts->authorization,
		.fleet = parts->fleet,
		.security = parts->security,
		.certification = parts->certification,
	};
	list_init(&list->agents);
}

void agent_list_done(struct agent_list *list)
{
	list_for_each_safe (agent, &list->agents, struct agent, link)
		agent_free(list, agent);
}

void agent_list_drop(struct agent_list *list, const struct client *client)
{
	list_for_each (agent, &list->agents, struct agent, link) {
		if (agent->client == client)
			agent_close(agent, "this client has been unregistered");
	}
}

void agent_list_cancel(struct agent_list *list, const struct error *err)
{
	list_for_each (agent, &list->agents, struct agent, link)
		relay_cancel(agent, err);
}
