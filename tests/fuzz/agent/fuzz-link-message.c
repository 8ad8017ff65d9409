/* A message of the broker's, with an agent that has one session and begins no other. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link.h"
#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_changed(void *userdata)
{
	(void)userdata;
}

static int create(struct engine *engine, struct session *session, struct error *err)
{
	(void)engine;
	(void)session;
	return error_set(err, ERR_UNREACHABLE, "no keeper");
}

static int check(struct engine *engine, struct error *err)
{
	(void)engine;
	return error_set(err, ERR_UNREACHABLE, "no keeper");
}

static void end(struct engine *engine, struct session *session, const char *reason)
{
	(void)engine;
	(void)session;
	(void)reason;
}

static void screenshot(struct engine *engine, struct session *session,
		       const struct screenshot_wish *wish, struct answer *answer)
{
	struct error err;

	(void)engine;
	(void)session;
	(void)error_set(&err, ERR_TIMEOUT, "%lld", wish->max_width);
	answer_fail(answer, &err);
}

static const struct engine_ops ops = {
	.name = "fake", .check = check, .create = create, .end = end, .screenshot = screenshot};

static struct link *make(void)
{
	static const struct session_list_handler handler = {.changed = on_changed};
	static struct engine engine = {.ops = &ops};
	static struct agent_config config;
	static struct loop loop;
	static struct agent agent;
	static char folder[] = "/tmp/fuzz-link-XXXXXX";
	const struct create_session_request request = {
		.name = "n", .owner = "alice", .type = "VIRTUAL"};
	struct error err;
	struct link *link;
	struct session *session;
	char path[64];
	FILE *file;

	log_set_level(LOG_LEVEL_ERROR);
	if (!mkdtemp(folder))
		abort();
	(void)snprintf(path, sizeof(path), "%s/agent.conf", folder);
	file = fopen(path, "w");
	(void)fputs("version = '0.1'\nagent.broker_host = 'localhost'\n", file);
	(void)fclose(file);
	if (agent_config_load(&config, path, &err) < 0 || loop_init(&loop, &err) < 0)
		abort();
	agent = (struct agent){.loop = &loop,
			       .config = &config,
			       .engine = &engine,
			       .is_ready = true,
			       .on_change = on_changed};
	metrics_init(&agent.metrics);
	if (session_list_init(&agent.sessions, &loop, &config, folder, &handler, &err) < 0 ||
	    server_init(&agent.server, &config, &agent.sessions, &engine, folder, &err) < 0)
		abort();
	session = session_new("s1", &request, 0, &err);
	if (session_list_add(&agent.sessions, session, &err) < 0)
		abort();
	session->state = SESSION_READY;
	link = link_new(&agent, folder, &err);
	if (!link)
		abort();
	return link;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct link *link;
	struct error err;

	if (!link)
		link = make();
	(void)link_take_message(link, (const char *)data, size, &err);
	return 0;
}
