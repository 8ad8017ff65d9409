/* What comes before the link: registration, credentials and tokens. */
#include "agent/registration.h"

#include "common/text.h"
#include "tests/unit/agent/link-fixture.h"

static void an_agent_registers_gets_a_token_links_and_reports(void **state)
{
	struct fixture *f = *state;

	connect_link(f);
	assert_string_equal(json_get_text(f->registration, "software_statement"), STATEMENT);
	assert_string_equal(json_get_text(f->registration, "client_name"),
			    f->agent.server.hostname);
	assert_string_equal(json_get_text(f->registration, "token_endpoint_auth_method"),
			    "client_secret_basic");
	assert_string_equal(f->authorization, "Bearer t1");
	assert_int_equal(f->n_registered, 1);
	assert_int_equal(f->n_tokens, 1);
	assert_string_equal(json_get_text(f->report, "event"), "report");
	/* an hour, less what this has taken */
	assert_in_range(f->agent.broker_certificate_end_s, time_now_ms() / 1000 + 3000,
			time_now_ms() / 1000 + 3600);
}

static void credentials_are_kept_for_us_alone_and_used_again(void **state)
{
	struct fixture *f = *state;
	long long port = f->config.broker_port;
	AUTO(buf_done) struct buf kept = {0};
	struct stat status;
	struct error err;

	connect_link(f);
	assert_int_equal(stat(in_folder(&f->folder, "credentials.json"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(file_read(in_folder(&f->folder, "credentials.json"), 4096, &kept, &err),
			 0);
	/* the next agent of this host */
	assert_int_equal(tear_down(state), 0);
	assert_int_equal(set_up(state), 0);
	f->config.broker_port = port;
	(void)put(&f->folder, "credentials.json", kept.data);
	connect_link(f);
	assert_int_equal(f->n_registered, 0);
	assert_int_equal(f->n_tokens, 1);
}

static void credentials_are_for_one_broker_only(void **state)
{
	static const char *const kept[] = {
		"{\"broker_host\":\"other\",\"broker_port\":8445,\"client_id\":\"c\","
		"\"client_secret\":\"s\"}",
		"{\"broker_host\":\"127.0.0.1\",\"broker_port\":1,\"client_id\":\"c\","
		"\"client_secret\":\"s\"}",
		"{\"client_id\":\"c\",\"client_secret\":\"s\"}",
		"{",
		"[]",
		"",
	};

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		struct fixture *f = *state;

		(void)put(&f->folder, "credentials.json", kept[i]);
		connect_link(f);
		assert_int_equal(f->n_registered, 1);
		assert_int_equal(tear_down(state), 0);
		assert_int_equal(set_up(state), 0);
	}
}

static void without_a_statement_there_is_no_link(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(unlink(in_folder(&f->folder, "statement")), 0);
	start_broker(f);
	start_link(f);
	run_now(&f->loop);
	assert_int_equal(f->n_registered, 0);
	(void)put(&f->folder, "statement", STATEMENT);
	/* it is looked for again, after a while */
	run_until(&f->loop, f->n_links == 1);
}

static void a_refused_statement_is_tried_again_later(void **state)
{
	struct fixture *f = *state;
	const char *good = f->register_body;

	f->register_status = 400;
	f->register_body = "{\"error\":\"unapproved_software_statement\"}";
	start_broker(f);
	start_link(f);
	run_until(&f->loop, f->n_registered == 1);
	run_now(&f->loop);
	assert_int_equal(f->n_tokens, 0);
	assert_false(is_there(&f->folder, "credentials.json"));
	f->register_status = 0;
	f->register_body = good;
	run_until(&f->loop, f->n_links == 1);
	assert_int_equal(f->n_registered, 2);
}

static void an_answer_without_credentials_is_none(void **state)
{
	static const char *const bad[] = {"",
					  "{}",
					  "[]",
					  "nonsense",
					  "{\"client_id\":\"c\"}",
					  "{\"client_id\":7,\"client_secret\":\"s\"}"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture *f = *state;

		f->register_body = bad[i];
		start_broker(f);
		start_link(f);
		run_until(&f->loop, f->n_registered == 1);
		run_now(&f->loop);
		assert_int_equal(f->n_tokens, 0);
		assert_int_equal(tear_down(state), 0);
		assert_int_equal(set_up(state), 0);
	}
}

static void an_answer_without_token_is_none(void **state)
{
	struct fixture *f = *state;

	f->token_body = "{\"access_token\":7}";
	start_broker(f);
	start_link(f);
	run_until(&f->loop, f->n_tokens == 1);
	run_now(&f->loop);
	f->token_body = "{\"access_token\":\"t2\"}";
	run_until(&f->loop, f->n_links == 1);
	assert_string_equal(f->authorization, "Bearer t2");
	assert_int_equal(f->n_registered, 1);
}

static void an_answer_that_is_too_large_is_a_failure(void **state)
{
	struct fixture *f = *state;

	f->oversize = 2UL * 1024 * 1024;
	start_broker(f);
	start_link(f);
	run_until(&f->loop, f->n_registered == 2); /* tried again, after a while */
	assert_int_equal(f->n_tokens, 0);
	f->oversize = 0;
	run_until(&f->loop, f->n_links == 1);
}

static void a_refused_link_means_a_new_token_then_a_new_registration(void **state)
{
	struct fixture *f = *state;

	f->upgrade_status = 401;
	f->upgrade_refusals = 1;
	connect_link(f);
	assert_int_equal(f->n_tokens, 2);
	assert_int_equal(f->n_registered, 1);
	/* the broker has forgotten us */
	f->upgrade_refusals = 2;
	ws_close(f->ws, LWS_CLOSE_STATUS_NORMAL, "bye");
	run_until(&f->loop, f->n_links == 2);
	assert_int_equal(f->n_registered, 2);
}

static void a_broker_of_another_release_is_named_as_such(void **state)
{
	struct fixture *f = *state;

	f->upgrade_status = WS_STATUS_OTHER_PROTOCOL;
	f->upgrade_refusals = 1;
	start_broker(f);
	start_link(f);
	run_until(&f->loop, f->agent.link_trouble.code != ERR_NONE);
	assert_non_null(strstr(f->agent.link_trouble.message, "does not speak " LINK_PROTOCOL));
	/* it may be upgraded meanwhile; what it was shown before is good enough then */
	run_until(&f->loop, f->n_links == 1);
	assert_int_equal(f->n_registered, 1);
}

static void refused_credentials_mean_a_new_registration(void **state)
{
	struct fixture *f = *state;

	f->token_refusals = 2;
	connect_link(f);
	assert_int_equal(f->n_registered, 2);
	assert_int_equal(f->n_tokens, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_agent_registers_gets_a_token_links_and_reports),
		TEST(credentials_are_kept_for_us_alone_and_used_again),
		TEST(credentials_are_for_one_broker_only),
		TEST(without_a_statement_there_is_no_link),
		TEST(a_refused_statement_is_tried_again_later),
		TEST(an_answer_without_credentials_is_none),
		TEST(an_answer_without_token_is_none),
		TEST(an_answer_that_is_too_large_is_a_failure),
		TEST(a_refused_link_means_a_new_token_then_a_new_registration),
		TEST(refused_credentials_mean_a_new_registration),
		TEST(a_broker_of_another_release_is_named_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
