#include "agent/watch.h"

#include "common/json.h"
#include "tests/unit/agent/fixture.h"

struct fixture {
	struct folder folder;
	struct agent_config config;
	struct loop loop;
	struct engine engine;
	struct agent agent;
	struct watch *watch;
	bool is_engine_ill;
	int n_changed;
};

static int check(struct engine *engine, struct error *err)
{
	const struct fixture *f = list_entry(engine, struct fixture, engine);

	return f->is_engine_ill ? error_set(err, ERR_UNREACHABLE, "nobody listens") : 0;
}

static void engine_free(struct engine *engine)
{
	(void)engine;
}

static const struct engine_ops ops = {.check = check, .free = engine_free};

static void on_changed(void *userdata)
{
	((struct fixture *)userdata)->n_changed++;
}

static void on_stop(void *userdata)
{
	struct fixture *f = userdata;

	watch_stop(f->watch);
	agent_done(&f->agent);
}

static int set_up(void **state)
{
	static struct fixture f;
	struct error err;

	f = (struct fixture){.engine.ops = &ops};
	folder_make(&f.folder);
	config_make(&f.config, &f.folder);
	f.config.broker_update_interval = 1;
	assert_int_equal(loop_init(&f.loop, &err), 0);
	f.loop.on_stop = on_stop;
	f.loop.userdata = &f;
	f.agent = (struct agent){.loop = &f.loop,
				 .config = &f.config,
				 .engine = &f.engine,
				 .is_ready = true,
				 .on_change = on_changed,
				 .userdata = &f};
	agent_begin(&f.agent, &f.folder);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	loop_done(&f->loop);
	watch_free(f->watch);
	agent_config_done(&f->config);
	folder_remove(&f->folder);
	return 0;
}

static void start(struct fixture *f)
{
	struct error err;

	f->watch = watch_new(&f->agent, &err);
	assert_non_null(f->watch);
}

static void an_engine_that_falls_ill_and_recovers_is_news_each_time(void **state)
{
	struct fixture *f = *state;
	struct log_catch caught;
	int n_changed;

	log_catch_begin(&caught, &f->folder);
	start(f);
	f->is_engine_ill = true;
	run_until(&f->loop, log_catch_count(&caught, "can begin no sessions: nobody listens") == 1);
	n_changed = f->n_changed;
	assert_true(n_changed > 0);
	f->is_engine_ill = false;
	run_until(&f->loop, log_catch_count(&caught, "this host is AVAILABLE") == 1);
	assert_true(f->n_changed > n_changed);
	log_catch_end(&caught);
}

static void what_is_not_true_any_more_is_corrected(void **state)
{
	struct fixture *f = *state;
	struct server *server = &f->agent.server;
	char address[64];

	log_set_level(LOG_LEVEL_ERROR);
	(void)snprintf(address, sizeof(address), "%s", server->address);
	(void)server_set_address(server, "192.0.2.1", "old.example");
	inventory_set_users(&server->inventory, json_pack("[{s:s}]", "Username", "no-such-user"));
	start(f);
	run_until(&f->loop, f->n_changed > 0);
	assert_string_equal(server->address, address);
	assert_string_not_equal(server->dns_name, "old.example");
	assert_true(server->dns_name[0] != '\0');
	for (size_t i = 0; i < json_array_size(server->inventory.users); i++)
		assert_string_not_equal(
			json_get_text(json_array_get(server->inventory.users, i), "Username"),
			"no-such-user");
}

static void a_look_outlives_the_loop(void **state)
{
	struct fixture *f = *state;

	/* the first look has begun and not ended when everything is taken down */
	start(f);
	(void)uv_run(&f->loop.uv, UV_RUN_NOWAIT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_engine_that_falls_ill_and_recovers_is_news_each_time),
		TEST(what_is_not_true_any_more_is_corrected),
		TEST(a_look_outlives_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
