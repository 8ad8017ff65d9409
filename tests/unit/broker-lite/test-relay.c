/* relay.c with a clock and a link that are these functions: the loop and the agents are not linked then. */
#include <stdlib.h>
#include <string.h>

#include "broker-lite/agent-list.h"
#include "broker-lite/relay.h"
#include "common/json.h"
#include "tests/unit/unit.h"

struct timer {
	timer_fn fn;
	void *userdata;
	unsigned long long at_ms;
	bool is_active;
};

struct waiting {
	int n_calls;
	enum error_code code;
	char body[64];
};

static struct {
	unsigned long long now_ms;
	struct timer timer;
	struct relay relay;
	struct agent agent;
	json_t *sent; /* the last command */
} fixture;

struct timer *timer_new(struct loop *loop, timer_fn fn, void *userdata)
{
	(void)loop;
	fixture.timer = (struct timer){.fn = fn, .userdata = userdata};
	return &fixture.timer;
}

void timer_start(struct timer *timer, unsigned long long ms, unsigned long long repeat_ms)
{
	assert_int_equal(repeat_ms, 0);
	timer->at_ms = fixture.now_ms + ms;
	timer->is_active = true;
}

bool timer_is_active(const struct timer *timer)
{
	return timer->is_active;
}

void timer_free(struct timer *timer)
{
	if (timer)
		timer->is_active = false;
}

unsigned long long loop_now_ms(const struct loop *loop)
{
	(void)loop;
	return fixture.now_ms;
}

int agent_send(struct agent *agent, const char *text, size_t len, struct error *err)
{
	assert_ptr_equal(agent, &fixture.agent);
	json_decref(fixture.sent);
	fixture.sent = NULL;
	if (json_parse(text, len, &fixture.sent, err) < 0)
		fail_msg("%s: %s", err->message, text);
	return 0;
}

const char *agent_name(const struct agent *agent)
{
	(void)agent;
	return "agent";
}

static void pass(unsigned long long ms)
{
	unsigned long long end_ms = fixture.now_ms + ms;

	while (fixture.timer.is_active && fixture.timer.at_ms <= end_ms) {
		fixture.now_ms = fixture.timer.at_ms;
		fixture.timer.is_active = false;
		fixture.timer.fn(fixture.timer.userdata);
	}
	fixture.now_ms = end_ms;
}

static void on_end(const char *body, size_t len, const struct error *err, void *userdata)
{
	struct waiting *waiting = userdata;

	waiting->n_calls++;
	waiting->code = err ? err->code : ERR_NONE;
	if (body)
		memcpy(waiting->body, body, len);
}

static long long give_order(enum operation_id operation, struct waiting *waiting)
{
	const struct relay_command command = {
		.operation = operation,
		.context = {.session_id = "a \"b\"", .attempt = 2},
		.body = "{\"Owner\": 1}",
		.body_len = 12,
		.fn = on_end,
		.userdata = waiting,
	};
	struct error err;

	*waiting = (struct waiting){0};
	assert_int_equal(relay_send(&fixture.relay, &fixture.agent, &command, &err), 0);
	return json_integer_value(json_object_get(fixture.sent, "id"));
}

static int set_up(void **state)
{
	struct error err;

	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	list_init(&fixture.agent.pending);
	return relay_init(&fixture.relay, NULL, &err);
}

static int tear_down(void **state)
{
	(void)state;
	relay_stop(&fixture.relay);
	json_decref(fixture.sent);
	return list_is_empty(&fixture.agent.pending) ? 0 : -1;
}

static void a_command_has_its_context_and_the_body_as_it_came(void **state)
{
	struct waiting waiting;
	struct error err;
	json_auto_t *wanted = NULL;

	(void)state;
	(void)give_order(OPERATION_update_session_permissions, &waiting);
	wanted = json_pack("{s:i,s:s,s:{s:s,s:i,s:i},s:{s:i}}", "id", 1, "operation",
			   "UpdateSessionPermissions", "context", "SessionId", "a \"b\"", "Attempt",
			   2, "Deadline", 4000, "body", "Owner", 1);
	assert_true(json_equal(fixture.sent, wanted));
	(void)error_set(&err, ERR_UNREACHABLE, "gone");
	relay_cancel(&fixture.agent, &err);
	assert_int_equal(waiting.n_calls, 1);
	assert_int_equal(waiting.code, ERR_UNREACHABLE);
}

static void a_reply_is_for_the_command_of_its_id(void **state)
{
	struct waiting first, second;
	struct link_message message = {.status = 200, .body = "{\"x\":1}", .body_len = 7};

	(void)state;
	(void)give_order(OPERATION_update_session_permissions, &first);
	message.id = give_order(OPERATION_update_session_permissions, &second);
	relay_reply(&fixture.agent, &message);
	assert_int_equal(first.n_calls, 0);
	assert_int_equal(second.n_calls, 1);
	assert_string_equal(second.body, "{\"x\":1}");
	relay_reply(&fixture.agent, &message);
	assert_int_equal(second.n_calls, 1);
	pass(4000);
	assert_int_equal(first.code, ERR_TIMEOUT);
	assert_int_equal(second.n_calls, 1);
}

static void each_command_has_the_time_of_its_operation_whatever_else_waits(void **state)
{
	struct waiting creation, picture, permissions, later;

	(void)state;
	(void)give_order(OPERATION_create_sessions, &creation);
	pass(100);
	(void)give_order(OPERATION_get_session_screenshots, &picture);
	(void)give_order(OPERATION_update_session_permissions, &permissions);
	pass(3999);
	assert_int_equal(permissions.n_calls, 0);
	pass(1);
	assert_int_equal(permissions.n_calls, 1);
	assert_int_equal(permissions.code, ERR_TIMEOUT);
	(void)give_order(OPERATION_update_session_permissions, &later);
	pass(1999);
	assert_int_equal(picture.n_calls, 0);
	pass(1);
	assert_int_equal(picture.code, ERR_TIMEOUT);
	pass(2000);
	assert_int_equal(later.code, ERR_TIMEOUT);
	pass(21899);
	assert_int_equal(creation.n_calls, 0);
	pass(1);
	assert_int_equal(creation.code, ERR_TIMEOUT);
	assert_int_equal(creation.n_calls + picture.n_calls + permissions.n_calls + later.n_calls,
			 4);
	assert_false(fixture.timer.is_active);
}

static void nothing_is_sent_without_a_link_or_after_the_stop(void **state)
{
	const struct relay_command command = {.body = "{}", .body_len = 2, .fn = on_end};
	struct error err;

	(void)state;
	assert_fails(relay_send(&fixture.relay, NULL, &command, &err), ERR_UNREACHABLE);
	relay_stop(&fixture.relay);
	assert_fails(relay_send(&fixture.relay, &fixture.agent, &command, &err), ERR_UNREACHABLE);
	assert_null(fixture.sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_command_has_its_context_and_the_body_as_it_came,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reply_is_for_the_command_of_its_id, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			each_command_has_the_time_of_its_operation_whatever_else_waits, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_sent_without_a_link_or_after_the_stop,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
