#include "ctl/print-idle.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "ctl/print.h"
#include "ctl/table.h"

/* "4 min 10 s" */
static const char *left_text(const json_t *idle, char ret[32])
{
	const json_t *left = json_object_get(idle, "SecondsLeft");
	long long seconds = json_integer_value(left);

	if (!json_is_integer(left) || seconds < 0)
		return NULL;
	if (seconds >= 3600)
		(void)snprintf(ret, 32, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
	else if (seconds >= 60)
		(void)snprintf(ret, 32, "%lld min %lld s", seconds / 60, seconds % 60);
	else
		(void)snprintf(ret, 32, "%lld s", seconds);
	return ret;
}

static int add_session(struct table *table, const json_t *session, struct error *err)
{
	const json_t *idle = json_object_get(json_object_get(session, "Local"), "Idle");
	const char *reason = json_get_text(idle, "Reason");
	char time[PRINT_TIME_SIZE], left[32];
	AUTO(buf_done) struct buf note = {0};

	if (reason && buf_printf(&note, err, "reason: %s", reason) < 0)
		return -1;
	return table_add(
		table,
		(const char *[]){json_get_text(session, "Id"), json_get_text(session, "Name"),
				 json_get_text(session, "Owner"), json_get_text(idle, "State"),
				 print_time(json_get_text(idle, "EndTime"), time),
				 left_text(idle, left)},
		note.data, err);
}

int print_idle(const json_t *answer, struct buf *out, struct error *err)
{
	AUTO(table_done)
	struct table table = {.heads = {"ID", "NAME", "OWNER", "IDLE", "ENDS (UTC)", "IN"}};
	const json_t *sessions = json_object_get(answer, "Sessions");

	if (!json_is_array(sessions))
		return error_set(err, ERR_INVALID, "the answer has no Sessions");
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		const json_t *session = json_array_get(sessions, i);
		const char *state = json_get_text(session, "State");

		/* what has ended needs no end */
		if (state && strcmp(state, "DELETED") == 0)
			continue;
		if (add_session(&table, session, err) < 0)
			return -1;
	}
	return table_print(&table, out, err);
}
