/* Reports of agents to a fleet whose store is in memory; links are not needed. */
#include <stdio.h>
#include <string.h>

#include "broker-lite/agent-list.h"
#include "broker-lite/audit.h"
#include "broker-lite/client-list.h"
#include "broker-lite/config.h"
#include "broker-lite/fleet.h"
#include "broker-lite/metrics.h"
#include "broker-lite/report.h"
#include "tests/unit/unit.h"

#define A_DAY_MS 86400000ULL

struct fixture {
	struct loop loop;
	struct store *store;
	struct broker_config config;
	struct client_list clients;
	struct audit audit;
	struct metrics metrics;
	struct fleet fleet;
	struct agent agents[2];
	struct error err;
};

static void start_fleet(struct fixture *f)
{
	const struct fleet_parts parts = {&f->loop, &f->config, &f->clients,
					  f->store, &f->audit,  &f->metrics};

	audit_init(&f->audit); /* whose lines go nowhere */
	metrics_init(&f->metrics);
	client_list_init(&f->clients, f->store);
	assert_int_equal(client_list_load(&f->clients, &f->err), 0);
	assert_int_equal(fleet_init(&f->fleet, &parts, &f->err), 0);
	for (size_t i = 0; i < f->clients.by_id.n; i++) {
		f->agents[i] = (struct agent){.client = f->clients.by_id.items[i]};
		list_init(&f->agents[i].pending);
	}
}

static void stop_fleet(struct fixture *f)
{
	fleet_stop(&f->fleet);
	for (size_t i = 0; i < ARRAY_SIZE(f->agents); i++)
		fleet_link_lost(&f->fleet, &f->agents[i]);
	assert_int_equal(store_flush(f->store, &f->err), 0);
	fleet_done(&f->fleet);
	audit_close(&f->audit);
	client_list_done(&f->clients);
}

static void add_client(struct fixture *f, const char *id, const char *name)
{
	struct client *client = client_new(CLIENT_AGENT, id, name, "-", &f->err);

	assert_non_null(client);
	assert_int_equal(client_list_add(&f->clients, client, &f->err), 0);
	assert_int_equal(client_store(&f->clients, client, NULL, NULL, &f->err), 0);
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;

	*f = (struct fixture){.store = NULL};
	*state = f;
	if (loop_init(&f->loop, &f->err) < 0 || broker_config_load(&f->config, NULL, &f->err) < 0 ||
	    store_open(&f->store, &f->loop, ":memory:", &f->err) < 0)
		return -1;
	client_list_init(&f->clients, f->store);
	add_client(f, "00000000-0000-4000-8000-000000000001", "first");
	add_client(f, "00000000-0000-4000-8000-000000000002", "second");
	assert_int_equal(store_flush(f->store, &f->err), 0);
	client_list_done(&f->clients);
	start_fleet(f);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	stop_fleet(f);
	loop_done(&f->loop);
	store_free(f->store);
	broker_config_done(&f->config);
	return 0;
}

static int report(struct fixture *f, int agent, const char *server_id)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "{\"Server\":{\"Id\":\"%s\"},\"Sessions\":[]}",
		       server_id);
	return report_apply(&f->fleet, &f->agents[agent], text, strlen(text), &f->err);
}

static void check_taken(struct fixture *f, int agent, const char *server_id)
{
	struct error err;

	assert_fails((report(f, agent, server_id) < 0 ? (err = f->err, -1) : 0), ERR_CONFLICT);
}

/* As if its link had been down for longer than a server is listed. */
static void stay_away(struct fixture *f, int agent, const char *server_id)
{
	struct server *server = server_list_find(&f->fleet.servers, server_id);

	fleet_link_lost(&f->fleet, &f->agents[agent]);
	server->lost_since_ms -= A_DAY_MS;
	timer_start(server->timer, 0, 0);
	while (server_list_find(&f->fleet.servers, server_id))
		(void)uv_run(&f->loop.uv, UV_RUN_ONCE);
}

static void a_server_that_was_taken_over_stays_taken_after_a_restart(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(report(f, 1, "host"), 0);
	check_taken(f, 0, "host");
	stay_away(f, 1, "host");
	assert_int_equal(report(f, 0, "host"), 0);
	stop_fleet(f);
	start_fleet(f);
	check_taken(f, 1, "host");
	assert_int_equal(report(f, 0, "host"), 0);
}

static void who_was_silent_for_long_does_not_keep_the_id_over_a_restart(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(report(f, 1, "host"), 0);
	stay_away(f, 1, "host");
	stop_fleet(f);
	start_fleet(f);
	assert_null(server_list_find(&f->fleet.servers, "host")); /* nor is it told of as lost */
	assert_int_equal(report(f, 0, "host"), 0);
}

static void who_comes_back_with_another_id_leaves_the_server_that_was_taken_over_alone(void **state)
{
	struct fixture *f = *state;
	struct server *host;

	assert_int_equal(report(f, 1, "host"), 0);
	stay_away(f, 1, "host");
	assert_int_equal(report(f, 0, "host"), 0);
	fleet_link_lost(&f->fleet, &f->agents[0]); /* for a moment */
	assert_int_equal(report(f, 1, "other"), 0);
	host = server_list_find(&f->fleet.servers, "host");
	assert_non_null(host);
	assert_false(host->is_lost);
	assert_non_null(host->report);
}

static void without_authorization_no_server_is_kept_from_anybody(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(report(f, 0, "host"), 0);
	stop_fleet(f);
	f->config.enable_agent_authorization = false;
	start_fleet(f);
	f->agents[0].client = NULL; /* nobody asks who it is */
	assert_int_equal(report(f, 0, "host"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_server_that_was_taken_over_stays_taken_after_a_restart),
		TEST(who_was_silent_for_long_does_not_keep_the_id_over_a_restart),
		TEST(who_comes_back_with_another_id_leaves_the_server_that_was_taken_over_alone),
		TEST(without_authorization_no_server_is_kept_from_anybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
