/* Commands about software statements. */
#include <time.h>

#include "broker-lite/broker.h"
#include "broker-lite/command.h"
#include "common/json.h"

void command_generate_software_statement(struct broker *broker, const json_t *options,
					 struct http_request *request)
{
	struct command_reply *reply = command_reply_new(broker, request, "software-statement: %s",
							"software-statement", "");
	struct statement *statement;
	struct error err = {0};

	(void)options;
	if (!reply)
		return;
	if (statement_list_make(&broker->statements, command_on_stored, reply, &statement, &err) <
	    0)
		command_on_stored(&err, reply);
	else
		command_reply_set(reply, statement->text); /* it is stored on a later turn */
}

static void format_issued(long long ms, char *ret, size_t size)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm utc;

	if (!gmtime_r(&seconds, &utc) || strftime(ret, size, "%Y.%m.%d %H:%M:%S +0000", &utc) == 0)
		*ret = '\0';
}

void command_describe_software_statements(struct broker *broker, const json_t *options,
					  struct http_request *request)
{
	const struct sorted *all = &broker->statements.by_id;
	json_t *list = json_array();

	(void)options;
	for (size_t i = 0; i < all->n; i++) {
		const struct statement *statement = all->items[i];
		char issued[40];

		format_issued(statement->issued_ms, issued, sizeof(issued));
		(void)json_array_append_new(
			list, json_pack("{s:s,s:s,s:s}", "software-statement", statement->text,
					"issued-at", issued, "is-active",
					statement->is_active ? "true" : "false"));
	}
	command_reply_list(request, "Software Statements\n", "software-statements", list);
}

void command_deactivate_software_statement(struct broker *broker, const json_t *options,
					   struct http_request *request)
{
	const char *text = json_get_text(options, "software-statement");
	struct command_reply *reply = command_reply_new(
		broker, request, "Software statement %s deactivated", "software-statement", text);
	struct statement *statement;
	struct error err = {0};

	if (!reply)
		return;
	if (statement_list_find(&broker->statements, text, &statement, &err) < 0 ||
	    statement_deactivate(&broker->statements, statement, command_on_stored, reply, &err) <
		    0)
		command_on_stored(&err, reply);
}
