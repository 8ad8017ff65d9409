/* A report of any content changes the fleet or is refused, and nothing is lost or left behind. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker-lite/agent-list.h"
#include "broker-lite/audit.h"
#include "broker-lite/config.h"
#include "broker-lite/fleet.h"
#include "broker-lite/metrics.h"
#include "broker-lite/report.h"
#include "common/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void describe(struct fleet *fleet)
{
	AUTO(buf_done) struct buf text = {0};
	struct error err;

	for (size_t i = 0; i < fleet->sessions.by_id.n; i++)
		(void)session_append_text(fleet->sessions.by_id.items[i], &text, &err);
	for (size_t i = 0; i < fleet->servers.by_id.n; i++) {
		struct server *server = fleet->servers.by_id.items[i];

		if (server->report && !server_text(server))
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loop loop;
	static struct store *store;
	static struct broker_config config;
	static const struct client_list no_clients;
	static struct audit audit;
	static struct metrics metrics;
	struct fleet fleet;
	struct agent agent = {0};
	struct error err;

	if (!store && (loop_init(&loop, &err) < 0 || broker_config_load(&config, NULL, &err) < 0 ||
		       store_open(&store, &loop, ":memory:", &err) < 0))
		abort();
	audit_init(&audit); /* whose lines go nowhere */
	metrics_init(&metrics);
	if (fleet_init(&fleet,
		       &(struct fleet_parts){&loop, &config, &no_clients, store, &audit, &metrics},
		       &err) < 0)
		abort();
	list_init(&agent.pending);
	(void)report_apply(&fleet, &agent, (const char *)data, size, &err);
	(void)report_apply(&fleet, &agent, (const char *)data, size, &err);
	describe(&fleet);
	fleet_link_lost(&fleet, &agent);
	fleet_stop(&fleet);
	(void)store_flush(store, &err);
	(void)uv_run(&loop.uv, UV_RUN_NOWAIT);
	fleet_done(&fleet);
	audit_close(&audit);
	return 0;
}
