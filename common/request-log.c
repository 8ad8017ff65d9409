#include "common/request-log.h"

#include <stdio.h>

#include "common/log.h"
#include "common/operations.h"

#define THROTTLED 429

/* NULL: no operation of the API. */
static bool is_told_elsewhere(const struct operation *op)
{
	return !op || operation_only_reads(op) || op->id == OPERATION_update_session_permissions;
}

static enum log_level level_of(const struct http_request *request, int status)
{
	const struct http_note *note = &request->note;

	if (status >= 500)
		return LOG_LEVEL_WARNING;
	if (status == THROTTLED)
		return LOG_LEVEL_DEBUG;
	if (status >= 400 || note->n_failed > 0)
		return LOG_LEVEL_INFO;
	return is_told_elsewhere(note->operation) ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
}

/* What was carried out, perhaps in part. */
static void log_answered(enum log_level level, const struct http_note *note,
			 const struct log_fields *fields, const char *ms)
{
	char failed[64] = "", of[2][300] = {""};

	if (note->n_failed > 0)
		(void)snprintf(failed, sizeof(failed), ", failed=%zu of %zu", note->n_failed,
			       note->n_elements);
	if (fields->session)
		(void)snprintf(of[0], sizeof(of[0]), ", session=%s", fields->session);
	if (fields->server)
		(void)snprintf(of[1], sizeof(of[1]), ", server=%s", fields->server);
	log_event(level, fields, "%s answered (request=%s, client=%s%s%s, result=%s%s, ms=%s)",
		  fields->operation, fields->request_id, fields->client ? fields->client : "",
		  of[0], of[1], fields->result, failed, ms);
}

void request_log(const struct http_request *request, int status, const char *client,
		 struct log_limit *strangers)
{
	const struct http_note *note = &request->note;
	enum log_level level = level_of(request, status);
	struct log_fields fields = {
		.request_id = note->request_id,
		.client = client,
		.operation = note->operation ? note->operation->name : request->path,
		.session = note->session_id,
		.server = note->server_id,
	};
	char result[16], ms[32];

	if (!log_has_level(level) || (!client && status >= 400 && status < 500 &&
				      !log_limit_passes(strangers, "requests refused")))
		return;
	fields.microseconds = (uv_hrtime() - request->began_ns) / 1000;
	log_format_ms(fields.microseconds, ms, sizeof(ms));
	(void)snprintf(result, sizeof(result), "%d", status);
	fields.result = result;
	if (note->request_id && status < 400)
		log_answered(level, note, &fields, ms);
	else if (status < 400)
		log_event(level, &fields,
			  "request answered (operation=%.200s, peer=%s, result=%s, ms=%s)",
			  fields.operation, request->peer_address, result, ms);
	else
		log_event(level, &fields,
			  "request refused: %s (operation=%.200s, client=%s, peer=%s, result=%s, "
			  "ms=%s)",
			  note->failure ? note->failure : "", fields.operation,
			  client ? client : "", request->peer_address, result, ms);
}
