#include "agent/engines/engine.h"
#include "agent/server.h"

#include <signal.h>
#include <sys/resource.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/text.h"
#include "tests/unit/agent/fixture.h"

static char version[] = "1.2";

struct fixture {
	struct folder folder;
	struct agent_config config;
	struct loop loop;
	struct session_list sessions;
	struct engine engine;
	bool is_engine_ill;
	struct server server;
};

static int check(struct engine *engine, struct error *err)
{
	const struct fixture *f = list_entry(engine, struct fixture, engine);

	return f->is_engine_ill ? error_set(err, ERR_UNREACHABLE, "nobody listens") : 0;
}

static const struct engine_ops ops = {.check = check};

static void on_changed(void *userdata)
{
	(void)userdata;
}

static int set_up(void **state)
{
	static struct fixture f;
	const struct session_list_handler handler = {.changed = on_changed};
	struct error err;

	f = (struct fixture){.engine = {.ops = &ops, .status.version = version}};
	log_set_level(LOG_LEVEL_ERROR);
	folder_make(&f.folder);
	config_make(&f.config, &f.folder);
	assert_int_equal(loop_init(&f.loop, &err), 0);
	assert_int_equal(
		session_list_init(&f.sessions, &f.loop, &f.config, f.folder.path, &handler, &err),
		0);
	assert_int_equal(
		server_init(&f.server, &f.config, &f.sessions, &f.engine, f.folder.path, &err), 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	server_done(&f->server);
	session_list_done(&f->sessions);
	loop_done(&f->loop);
	agent_config_done(&f->config);
	folder_remove(&f->folder);
	return 0;
}

static int again(struct fixture *f, struct error *err)
{
	server_done(&f->server);
	return server_init(&f->server, &f->config, &f->sessions, &f->engine, f->folder.path, err);
}

static void the_identity_is_made_once(void **state)
{
	struct fixture *f = *state;
	AUTO(free_p) char *id = strdup(f->server.id);
	AUTO(buf_done) struct buf triple = {0};
	struct error err;
	const char *end;

	assert_int_equal(again(f, &err), 0);
	assert_string_equal(f->server.id, id);
	assert_int_equal(base64_decode(id, &triple, &err), 0);
	assert_memory_equal(triple.data, f->server.hostname, strlen(f->server.hostname));
	end = triple.data + triple.len - 32;
	assert_int_equal(end[-1], '-');
	assert_int_equal(strspn(end, "0123456789abcdef"), 32);
}

static void the_identity_does_not_follow_name_or_address(void **state)
{
	struct fixture *f = *state;
	struct error err;

	(void)put(&f->folder, "server.json", "{\"Id\":\"as-it-was\",\"Closed\":false}");
	assert_int_equal(again(f, &err), 0);
	assert_string_equal(f->server.id, "as-it-was");
}

static void the_mark_survives(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_null(server_unavailability(&f->server));
	assert_int_equal(server_set_closed(&f->server, true, &err), 0);
	assert_int_equal(again(f, &err), 0);
	assert_true(f->server.is_closed);
	assert_string_equal(server_unavailability(&f->server), "SERVER_CLOSED");
	assert_int_equal(server_set_closed(&f->server, true, &err), 0);
	assert_int_equal(server_set_closed(&f->server, false, &err), 0);
	assert_int_equal(again(f, &err), 0);
	assert_false(f->server.is_closed);
}

static void a_mark_that_cannot_be_kept_is_not_set(void **state)
{
	struct fixture *f = *state;
	const struct rlimit none = {0, RLIM_INFINITY};
	struct rlimit before;
	struct error err;

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(server_set_closed(&f->server, true, &err), -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_false(f->server.is_closed);
	assert_int_equal(again(f, &err), 0);
	assert_false(f->server.is_closed);
}

static void a_broken_server_json_is_an_error_that_names_it(void **state)
{
	static const char *const bad[] = {
		"", "{", "[]", "{\"Id\":7}", "{\"Closed\":true}", "{\"Id\":\"\"}", "\xff"};
	struct fixture *f = *state;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)put(&f->folder, "server.json", bad[i]);
		assert_fails(again(f, &err), ERR_INVALID);
		assert_non_null(strstr(err.message, in_folder(&f->folder, "server.json")));
	}
}

static void a_full_host_is_unavailable(void **state)
{
	struct fixture *f = *state;
	const struct create_session_request request = {
		.name = "n", .owner = "o", .type = "VIRTUAL"};
	struct error err;
	struct session *s = session_new("s", &request, 0, &err);

	f->config.max_virtual_sessions = 1;
	assert_int_equal(session_list_add(&f->sessions, s, &err), 0);
	assert_string_equal(server_unavailability(&f->server), "SERVER_FULL");
	assert_int_equal(server_set_closed(&f->server, true, &err), 0);
	assert_string_equal(server_unavailability(&f->server), "SERVER_CLOSED");
	assert_int_equal(server_set_closed(&f->server, false, &err), 0);
	session_list_remove(&f->sessions, s);
	assert_null(server_unavailability(&f->server));
	f->config.max_virtual_sessions = 0;
	assert_string_equal(server_unavailability(&f->server), "SERVER_FULL");
}

static void of_several_reasons_the_first_in_order_is_told(void **state)
{
	static const struct {
		bool is_ill, is_closed;
		long long most;
		const char *reason;
	} hosts[] = {
		{false, false, -1, NULL},
		{false, false, 0, "SERVER_FULL"},
		{false, true, -1, "SERVER_CLOSED"},
		{false, true, 0, "SERVER_CLOSED"},
		{true, false, -1, "UNHEALTHY_DCV_SERVER"},
		{true, false, 0, "UNHEALTHY_DCV_SERVER"},
		{true, true, 0, "UNHEALTHY_DCV_SERVER"},
	};
	struct fixture *f = *state;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		json_auto_t *shown = NULL;

		f->is_engine_ill = hosts[i].is_ill;
		f->config.max_virtual_sessions = hosts[i].most;
		assert_int_equal(server_set_closed(&f->server, hosts[i].is_closed, &err), 0);
		shown = server_to_json(&f->server);
		assert_string_equal(json_get_text(shown, "Availability"),
				    hosts[i].reason ? "UNAVAILABLE" : "AVAILABLE");
		if (hosts[i].reason)
			assert_string_equal(json_get_text(shown, "UnavailabilityReason"),
					    hosts[i].reason);
		else
			assert_null(json_object_get(shown, "UnavailabilityReason"));
	}
}

static void a_console_session_fills_the_host(void **state)
{
	struct fixture *f = *state;
	const struct create_session_request request = {
		.name = "n", .owner = "o", .type = "CONSOLE"};
	struct error err;

	assert_int_equal(session_list_add(&f->sessions, session_new("c", &request, 0, &err), &err),
			 0);
	assert_string_equal(server_unavailability(&f->server), "SERVER_FULL");
}

static void an_address_that_changes_is_news(void **state)
{
	struct fixture *f = *state;
	json_auto_t *shown = NULL;

	assert_true(server_set_address(&f->server, "192.0.2.7", "h.example"));
	assert_false(server_set_address(&f->server, "192.0.2.7", "h.example"));
	assert_true(server_set_address(&f->server, "192.0.2.8", "h.example"));
	assert_true(server_set_address(&f->server, "192.0.2.8", "h"));
	shown = server_to_json(&f->server);
	assert_string_equal(json_get_text(shown, "Ip"), "192.0.2.8");
	assert_string_equal(json_get_text(shown, "DefaultDnsName"), "h");
}

static void the_api_has_its_members_and_no_others(void **state)
{
	static const char *const allowed[] = {"Id",
					      "Ip",
					      "Hostname",
					      "DefaultDnsName",
					      "Port",
					      "Endpoints",
					      "WebUrlPath",
					      "Tags",
					      "Version",
					      "SessionManagerAgentVersion",
					      "Availability",
					      "UnavailabilityReason",
					      "ConsoleSessionCount",
					      "VirtualSessionCount",
					      "Host"};
	struct fixture *f = *state;
	json_auto_t *shown = server_to_json(&f->server), *brief = server_to_short_json(&f->server);
	const char *key;
	json_t *value;

	json_object_foreach(shown, key, value)
	{
		size_t i = 0;

		while (i < ARRAY_SIZE(allowed) && strcmp(allowed[i], key) != 0)
			i++;
		assert_true(i < ARRAY_SIZE(allowed));
	}
	assert_string_equal(json_get_text(shown, "Availability"), "AVAILABLE");
	assert_null(json_object_get(shown, "UnavailabilityReason"));
	assert_string_equal(json_get_text(shown, "Version"), "1.2");
	assert_true(json_is_array(json_object_get(shown, "Endpoints")));
	assert_string_equal(json_get_text(shown, "Port"), "0"); /* nothing listens yet */
	assert_true(json_is_array(json_object_get(shown, "Tags")));
	assert_true(json_is_object(json_object_get(shown, "Host")));
	assert_null(json_object_get(brief, "Host"));
	assert_null(json_object_get(brief, "Availability"));
	assert_string_equal(json_get_text(brief, "Id"), f->server.id);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_identity_is_made_once),
		TEST(the_identity_does_not_follow_name_or_address),
		TEST(the_mark_survives),
		TEST(a_mark_that_cannot_be_kept_is_not_set),
		TEST(a_broken_server_json_is_an_error_that_names_it),
		TEST(a_full_host_is_unavailable),
		TEST(of_several_reasons_the_first_in_order_is_told),
		TEST(a_console_session_fills_the_host),
		TEST(an_address_that_changes_is_news),
		TEST(the_api_has_its_members_and_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
