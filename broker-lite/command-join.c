/* The command that lets a host enrol itself. */
#include "broker-lite/broker.h"
#include "broker-lite/command.h"
#include "common/json.h"
#include "common/number.h"

#define DEFAULT_MINUTES 15
#define MOST_MINUTES 1440

static int make_token(struct broker *broker, const char *minutes, struct command_reply *reply,
		      struct error *err)
{
	unsigned char fingerprint[32];
	struct buf authority = {0}, token = {0};
	long long n = DEFAULT_MINUTES;
	char *text;
	int result;

	if (minutes && !number_parse(minutes, 1, MOST_MINUTES, &n))
		return error_set(err, ERR_USAGE, "--minutes must be 1 to %d", MOST_MINUTES);
	if (!statement_list_newest(&broker->statements))
		return error_set(
			err, ERR_CONFLICT,
			"there is no active software statement to give to a host: make one "
			"with generate-software-statement");
	result = security_append_trust(broker->security, &authority, fingerprint, err);
	if (result == 0)
		result = join_tokens_make(&broker->join_tokens, fingerprint, (int)n, &token,
					  command_on_stored, reply, err);
	text = buf_steal(&token);
	if (result == 0)
		command_reply_set(reply, text ? text : ""); /* it is stored on a later turn */
	buf_done(&authority);
	free(text);
	return result;
}

void command_create_join_token(struct broker *broker, const json_t *options,
			       struct http_request *request)
{
	struct command_reply *reply =
		command_reply_new(broker, request, "join-token: %s", "join-token", "");
	struct error err = {0};

	if (reply && make_token(broker, json_get_text(options, "minutes"), reply, &err) < 0)
		command_on_stored(&err, reply);
}
