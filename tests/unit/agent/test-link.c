/* The link: reports, operations and their answers, and links that are lost or refused. */
#include "agent/link.h"

#include "common/text.h"
#include "tests/unit/agent/link-fixture.h"

/* The reply to an operation. */
static const json_t *ask(struct fixture *f, const char *text)
{
	unsigned before = f->n_replies;

	say(f, text);
	run_until(&f->loop, f->n_replies > before);
	return f->reply;
}

static void a_report_is_the_whole_truth(void **state)
{
	struct fixture *f = *state;
	const json_t *body;
	json_t *session;

	connect_link(f);
	json_decref(json_incref((json_t *)(size_t)ask(
		f, "{\"id\":1,\"operation\":\"CreateSessions\",\"context\":{\"SessionId\":\"s1\"},"
		   "\"body\":{\"Name\":\"n\",\"Owner\":\"alice\",\"Type\":\"VIRTUAL\"}}")));
	run_until(&f->loop, f->n_reports == 2); /* a change is told at once */
	body = json_object_get(f->report, "body");
	assert_int_equal(json_integer_value(json_object_get(body, "Sequence")), 2);
	assert_int_equal(strlen(json_get_text(body, "BootId")), 36);
	assert_string_equal(json_get_text(json_object_get(body, "Server"), "Id"),
			    f->agent.server.id);
	/* only for the host's own people */
	assert_null(json_object_get(json_object_get(body, "Server"), "Local"));
	session = json_array_get(json_object_get(body, "Sessions"), 0);
	assert_string_equal(json_get_text(session, "Id"), "s1");
	assert_null(json_object_get(session, "Server"));
	assert_null(json_object_get(session, "FailureCode"));
	assert_int_equal(json_integer_value(json_object_get(body, "LeakedProcesses")), 0);
}

static void a_report_counts_the_processes_that_do_not_end(void **state)
{
	struct fixture *f = *state;
	struct session *session;
	struct error err;

	connect_link(f);
	(void)ask(f,
		  "{\"id\":1,\"operation\":\"CreateSessions\",\"context\":{\"SessionId\":\"s1\"},"
		  "\"body\":{\"Name\":\"n\",\"Owner\":\"alice\",\"Type\":\"VIRTUAL\"}}");
	run_until(&f->loop, f->n_reports == 2);
	session = session_list_find(&f->agent.sessions, "s1");
	session->n_leaked = 3;
	for (unsigned i = 0; i < 2; i++) {
		const json_t *body;

		assert_int_equal(
			session_list_apply(&f->agent.sessions, session,
					   i == 0 ? SESSION_EVENT_END : SESSION_EVENT_ENDED, NULL,
					   &err),
			0);
		run_until(&f->loop, f->n_reports == 3 + i);
		body = json_object_get(f->report, "body");
		assert_int_equal(json_integer_value(json_object_get(body, "LeakedProcesses")),
				 i == 0 ? 3 : 0);
	}
}

static void a_report_tells_whose_fault_it_was_and_an_answer_does_not(void **state)
{
	struct fixture *f = *state;
	const json_t *reply, *sessions;
	struct session *session;
	struct error err;

	connect_link(f);
	(void)ask(f,
		  "{\"id\":1,\"operation\":\"CreateSessions\",\"context\":{\"SessionId\":\"s1\"},"
		  "\"body\":{\"Name\":\"n\",\"Owner\":\"alice\",\"Type\":\"VIRTUAL\"}}");
	run_until(&f->loop, f->n_reports == 2);
	session = session_list_find(&f->agent.sessions, "s1");
	session_set_failure(session, ERR_NOT_FOUND);
	assert_int_equal(session_list_apply(&f->agent.sessions, session, SESSION_EVENT_ENDED,
					    "user not found: alice", &err),
			 0);
	run_until(&f->loop, f->n_reports == 3);
	sessions = json_object_get(json_object_get(f->report, "body"), "Sessions");
	assert_string_equal(json_get_text(json_array_get(sessions, 0), "FailureCode"), "NOT_FOUND");
	reply = ask(f, "{\"id\":2,\"operation\":\"DescribeSessions\",\"body\":{}}");
	sessions = json_object_get(json_object_get(reply, "body"), "Sessions");
	assert_string_equal(json_get_text(json_array_get(sessions, 0), "StateReason"),
			    "user not found: alice");
	assert_null(json_object_get(json_array_get(sessions, 0), "FailureCode"));
}

static void an_operation_is_answered_under_its_id(void **state)
{
	struct fixture *f = *state;
	const json_t *reply;

	connect_link(f);
	reply = ask(f, "{\"id\":9007199254740993,\"operation\":\"DescribeServers\",\"body\":{}}");
	assert_true(json_integer_value(json_object_get(reply, "id")) == 9007199254740993LL);
	assert_int_equal(json_integer_value(json_object_get(reply, "status")), 200);
	reply = ask(f, "{\"id\":2,\"operation\":\"DeleteSessions\",\"body\":"
		       "{\"SessionId\":\"x\",\"Owner\":\"y\"}}");
	assert_int_equal(json_integer_value(json_object_get(reply, "status")), 404);
	assert_string_equal(json_get_text(json_object_get(reply, "body"), "error"),
			    "The requested dcvSession does not exist");
	assert_string_equal(json_get_text(json_object_get(reply, "body"), "code"), "NOT_FOUND");
}

static void nonsense_is_answered_or_passed_over(void **state)
{
	static const char *const passed_over[] = {
		"{}",
		"[]",
		"7",
		"{\"event\":\"dance\"}",
		"{\"event\":\"hello\"}",
		"{\"event\":\"hello\",\"body\":{\"MessageMaxBytes\":-1}}",
		"{\"event\":\"reportReceived\"}",
		"{\"event\":7,\"operation\":null}",
	};
	static const struct {
		const char *text, *code;
	} answered[] = {
		{"{\"id\":1,\"operation\":\"Dance\"}", "UNSUPPORTED"},
		{"{\"id\":1,\"operation\":\"DescribeServers\"}", "INVALID"},
		{"{\"id\":1,\"operation\":\"CreateSessions\",\"body\":[],\"context\":7}",
		 "INVALID"},
		{"{\"operation\":\"CreateSessions\",\"body\":{\"Name\":7}}", "INVALID"},
		{"{\"id\":1,\"operation\":\"CreateSessions\",\"context\":{\"SessionId\":\"..\"},"
		 "\"body\":{\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"VIRTUAL\"}}",
		 "INVALID"},
		{"{\"id\":1,\"operation\":\"GetSessionScreenshots\",\"context\":{\"Deadline\":-1,"
		 "\"Format\":7},\"body\":{\"SessionId\":\"x\"}}",
		 "NOT_FOUND"},
	};
	struct fixture *f = *state;

	connect_link(f);
	for (size_t i = 0; i < ARRAY_SIZE(passed_over); i++)
		say(f, passed_over[i]);
	for (size_t i = 0; i < ARRAY_SIZE(answered); i++)
		assert_string_equal(
			json_get_text(json_object_get(ask(f, answered[i].text), "body"), "code"),
			answered[i].code);
	assert_int_equal(f->n_lost, 0);
}

static void what_is_no_json_ends_the_link_and_it_is_made_again(void **state)
{
	struct fixture *f = *state;

	connect_link(f);
	say(f, "nonsense");
	run_until(&f->loop, f->n_lost == 1);
	assert_non_null(strstr(f->why, "not JSON"));
	run_until(&f->loop, f->n_links == 2);
	run_until(&f->loop, f->n_reports == 2);
}

static void the_broker_tells_by_how_much_the_clock_is_wrong(void **state)
{
	struct fixture *f = *state;
	struct agent *agent = &f->agent;
	struct log_catch caught;
	char hello[96];

	connect_link(f);
	assert_false(agent->has_clock_skew);
	log_catch_begin(&caught, &f->folder);
	(void)snprintf(hello, sizeof(hello), "{\"event\":\"hello\",\"body\":{\"Time\":%lld}}",
		       time_now_ms() - 3600000);
	say(f, hello);
	run_until(&f->loop, agent->has_clock_skew);
	assert_in_range(agent->clock_skew_ms, 3600000, 3600000 + PATIENCE_MS);
	assert_int_equal(log_catch_count(&caught, "the clock of this host is 3600 s off"), 1);
	say(f, "{\"event\":\"hello\",\"body\":{\"Time\":9223372036854775807}}");
	run_until(&f->loop, agent->clock_skew_ms < 0);
	say(f, "{\"event\":\"hello\",\"body\":{\"Time\":-1}}");
	run_until(&f->loop, !agent->has_clock_skew);
	log_catch_end(&caught);
}

static void an_answer_larger_than_the_broker_takes_fails_alone(void **state)
{
	struct fixture *f = *state;
	const json_t *reply;

	connect_link(f);
	say(f, "{\"event\":\"hello\",\"body\":{\"MessageMaxBytes\":200}}");
	reply = ask(f, "{\"id\":1,\"operation\":\"DescribeServers\",\"body\":{}}");
	assert_string_equal(json_get_text(json_object_get(reply, "body"), "code"), "TOO_LARGE");
	assert_int_equal(f->n_lost, 0);
}

static void ask_screenshot(struct fixture *f)
{
	(void)ask(f,
		  "{\"id\":1,\"operation\":\"CreateSessions\",\"context\":{\"SessionId\":\"s1\"},"
		  "\"body\":{\"Name\":\"n\",\"Owner\":\"alice\",\"Type\":\"VIRTUAL\"}}");
	session_list_find(&f->agent.sessions, "s1")->state = SESSION_READY;
	say(f,
	    "{\"id\":2,\"operation\":\"GetSessionScreenshots\",\"body\":{\"SessionId\":\"s1\"}}");
	run_until(&f->loop, f->shot);
}

static void an_answer_that_comes_late_is_sent_when_it_comes(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	connect_link(f);
	ask_screenshot(f);
	before = f->n_replies;
	run_now(&f->loop);
	assert_int_equal(f->n_replies, before);
	answer_succeed_json(TAKE(f->shot), json_pack("{s:s}", "x", "y"));
	run_until(&f->loop, f->n_replies > before);
	assert_string_equal(json_get_text(json_object_get(f->reply, "body"), "x"), "y");
}

static void an_answer_to_a_link_that_was_lost_goes_nowhere(void **state)
{
	struct fixture *f = *state;
	unsigned before, n_reports;

	connect_link(f);
	ask_screenshot(f);
	before = f->n_replies;
	n_reports = f->n_reports;
	ws_close(f->ws, LWS_CLOSE_STATUS_NORMAL, "bye");
	run_until(&f->loop, f->n_links == 2 && f->n_reports > n_reports);
	n_reports = f->n_reports;
	/* the next link has ids of its own: a reply of before would be taken for another's */
	answer_succeed_json(TAKE(f->shot), json_pack("{s:s}", "x", "y"));
	link_report_soon(f->link);
	run_until(&f->loop, f->n_reports > n_reports);
	assert_int_equal(f->n_replies, before);
}

static void the_loop_may_stop_with_a_request_open(void **state)
{
	struct fixture *f = *state;

	connect_link(f);
	ask_screenshot(f);
	loop_stop(&f->loop);
	assert_null(f->shot);
}

static void the_loop_may_stop_at_any_step(void **state)
{
	for (int turns = 0; turns < 60; turns++) {
		struct fixture *f = *state;

		start_broker(f);
		start_link(f);
		for (int i = 0; i < turns && f->n_reports == 0; i++)
			(void)uv_run(&f->loop.uv, UV_RUN_ONCE);
		loop_stop(&f->loop);
		assert_int_equal(tear_down(state), 0);
		assert_int_equal(set_up(state), 0);
	}
}

static void a_broker_that_is_not_there_is_tried_less_and_less_often(void **state)
{
	struct fixture *f = *state;
	unsigned long long began = loop_now_ms(&f->loop);

	start_link(f);
	/* after about 1 s and 2 s more it is there */
	while (loop_now_ms(&f->loop) - began < 1500)
		(void)uv_run(&f->loop.uv, UV_RUN_ONCE);
	start_broker(f);
	run_until(&f->loop, f->n_links == 1);
	assert_in_range(loop_now_ms(&f->loop) - began, 2400, 4500);
	assert_int_equal(f->n_registered, 1);
}

static void a_certificate_of_somebody_else_is_refused(void **state)
{
	struct fixture *f = *state;

	/* the authority is kept, and the broker shows another certificate */
	(void)rename(in_folder(&f->folder, "cert.pem"), in_folder(&f->folder, "ca.pem"));
	free(f->config.ca_file);
	f->config.ca_file = strdup(in_folder(&f->folder, "ca.pem"));
	make_certificate(&f->folder);
	start_broker(f);
	start_link(f);
	for (unsigned long long began = loop_now_ms(&f->loop);
	     loop_now_ms(&f->loop) - began < 1500;)
		(void)uv_run(&f->loop.uv, UV_RUN_ONCE);
	assert_int_equal(f->n_registered, 0);
}

static void an_authority_that_is_not_there_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct error err;

	free(f->config.ca_file);
	f->config.ca_file = strdup("/no/such/file.pem");
	assert_null(link_new(&f->agent, f->folder.path, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.message, "/no/such/file.pem"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_report_is_the_whole_truth),
		TEST(a_report_counts_the_processes_that_do_not_end),
		TEST(a_report_tells_whose_fault_it_was_and_an_answer_does_not),
		TEST(an_operation_is_answered_under_its_id),
		TEST(nonsense_is_answered_or_passed_over),
		TEST(what_is_no_json_ends_the_link_and_it_is_made_again),
		TEST(the_broker_tells_by_how_much_the_clock_is_wrong),
		TEST(an_answer_larger_than_the_broker_takes_fails_alone),
		TEST(an_answer_that_comes_late_is_sent_when_it_comes),
		TEST(an_answer_to_a_link_that_was_lost_goes_nowhere),
		TEST(the_loop_may_stop_with_a_request_open),
		TEST(the_loop_may_stop_at_any_step),
		TEST(a_broker_that_is_not_there_is_tried_less_and_less_often),
		TEST(a_certificate_of_somebody_else_is_refused),
		TEST(an_authority_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
