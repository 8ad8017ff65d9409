#include "ctl/wait.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/operations.h"

#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 2000

static long long monotonic_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
	const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&time, NULL);
}

/* The session of that id in the answer; borrowed. */
static json_t *find_session(const json_t *answer, const char *id)
{
	json_t *session;
	size_t i;

	json_array_foreach(json_object_get(answer, "Sessions"), i, session)
	{
		const char *own = json_get_text(session, "Id");

		if (own && strcmp(own, id) == 0)
			return session;
	}
	return NULL;
}

static enum exit_status describe(struct service *service, const char *id, json_t **ret_session,
				 struct error *err)
{
	const struct operation *op = &operations[OPERATION_describe_sessions];
	AUTO(client_response_done) struct client_response response = {0};
	AUTO(buf_done) struct buf body = {0};
	json_auto_t *request = json_pack("{s:[s]}", "SessionIds", id);
	json_auto_t *answer = NULL;
	enum exit_status status;

	if (!request || json_append(&body, request, err) < 0) {
		(void)error_oom(err);
		return STATUS_OTHER;
	}
	status = service_call(service, op->method, op->path, &body, &response, &answer, err);
	if (status == STATUS_SUCCESS)
		*ret_session = json_incref(find_session(answer, id));
	return status;
}

static enum exit_status tell_end(const char *id, const json_t *session, struct error *err)
{
	const char *reason = json_get_text(session, "StateReason");

	(void)error_set(err, ERR_CONFLICT, "session %s did not come up: %s", id,
			reason && *reason ? reason
			: session         ? "it was deleted"
					  : "it is gone");
	return STATUS_REFUSED;
}

/* STATUS_SUCCESS: it is ready or on its way; *ret_is_ready tells. */
static enum exit_status judge(const char *id, const json_t *session, bool *ret_is_ready,
			      struct error *err)
{
	const char *state = json_get_text(session, "State");

	if (!session || (state && strcmp(state, "DELETED") == 0))
		return tell_end(id, session, err);
	*ret_is_ready = state && strcmp(state, "READY") == 0;
	return STATUS_SUCCESS;
}

enum exit_status wait_for_session(struct service *service, const char *id, long long timeout_s,
				  struct error *err)
{
	long long end_ms = monotonic_ms() + timeout_s * 1000;
	long ms = FIRST_PAUSE_MS;

	for (;; ms = ms * 2 > LONGEST_PAUSE_MS ? LONGEST_PAUSE_MS : ms * 2) {
		json_auto_t *session = NULL;
		enum exit_status status = describe(service, id, &session, err);
		bool is_ready = false;

		if (status == STATUS_SUCCESS)
			status = judge(id, session, &is_ready, err);
		if (status != STATUS_SUCCESS || is_ready)
			return status;
		if (monotonic_ms() + ms > end_ms)
			break;
		pause_ms(ms);
	}
	(void)error_set(err, ERR_TIMEOUT, "session %s is not ready after %lld s", id, timeout_s);
	return STATUS_OTHER;
}
