/* The command that explains where sessions go. */
#include <string.h>

#include "broker-lite/broker.h"
#include "broker-lite/command.h"
#include "broker-lite/placement.h"
#include "common/json.h"
#include "common/requests.h"

/* What CreateSessions would check before it looks for a server. */
static int read_wish(const struct broker_config *config, const json_t *element,
		     struct placement_wish **ret, struct error *err)
{
	struct create_session_request fields;

	if (params_read(&create_sessions_params, element, &fields, err) < 0 ||
	    create_session_check(&fields, config->autorun_arguments_max,
				 config->autorun_argument_max_length, err) < 0)
		return -1;
	return placement_wish_new(element, ret, err);
}

void command_describe_placement(struct broker *broker, const json_t *options,
				struct http_request *request)
{
	const char *wanted = json_get_text(options, "request");
	json_auto_t *element = NULL; /* the wish borrows from it */
	struct placement_wish *wish = NULL;
	struct buf text = {0};
	json_t *result = NULL;
	struct error err = {0};

	if ((!wanted || (json_parse(wanted, strlen(wanted), &element, &err) == 0 &&
			 read_wish(&broker->config, element, &wish, &err) == 0)) &&
	    placement_explain(&broker->fleet.servers, wish, loop_now_ms(&broker->loop), &text,
			      &result, &err) == 0)
		command_reply(request, &text, json_pack("{s:o}", "servers", result));
	else
		command_fail(request, &err);
	placement_wish_free(wish);
}
