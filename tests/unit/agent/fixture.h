/** What the agent's unit tests share: a temporary folder, files in it, and a loop that is run until
 * something has happened. */
#ifndef TESTS_UNIT_AGENT_FIXTURE_H
#define TESTS_UNIT_AGENT_FIXTURE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/config.h"
#include "agent/engines/engine.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/loop.h"
#include "tests/unit/unit.h"

#define PATIENCE_MS 20000

struct folder {
	char path[64];
};

static inline void folder_make(struct folder *f)
{
	(void)snprintf(f->path, sizeof(f->path), "/tmp/test-agent-XXXXXX");
	assert_non_null(mkdtemp(f->path));
}

static inline void folder_remove(const struct folder *f)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", f->path);
	assert_int_equal(system(command), 0);
}

/* Valid until the eighth call after this one. */
static inline const char *in_folder(const struct folder *f, const char *name)
{
	static char paths[8][512];
	static size_t n;
	char *path = paths[n++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", f->path, name);
	return path;
}

/* Write a file, with the folders above it. */
static inline const char *put(const struct folder *f, const char *name, const char *text)
{
	const char *path = in_folder(f, name);
	char parent[512];
	struct error err = {0};

	(void)snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = '\0';
	assert_int_equal(file_make_folder(parent, 0755, &err), 0);
	assert_int_equal(file_write_volatile(path, text, strlen(text), 0644, &err), 0);
	return path;
}

/* What is logged meanwhile goes to a file below the folder, and not to the terminal. */
struct log_catch {
	char path[128];
	int stderr_fd; /* the real one */
};

static inline void log_catch_begin(struct log_catch *c, const struct folder *f)
{
	const struct log_rotation rotation = {.max_bytes = 1 << 20, .n_kept = 1};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct error err = {0};

	(void)snprintf(c->path, sizeof(c->path), "%s/caught.log", f->path);
	c->stderr_fd = dup(STDERR_FILENO);
	(void)dup2(null, STDERR_FILENO);
	(void)close(null);
	log_set_level(LOG_LEVEL_INFO);
	assert_int_equal(log_open_file(f->path, "caught.log", &rotation, &err), 0);
}

static inline void log_catch_end(struct log_catch *c)
{
	log_close();
	(void)dup2(c->stderr_fd, STDERR_FILENO);
	(void)close(c->stderr_fd);
}

/* How often @text was logged. */
static inline int log_catch_count(const struct log_catch *c, const char *text)
{
	AUTO(buf_done) struct buf log = {0};
	struct error err = {0};
	int n = 0;

	assert_int_equal(file_read(c->path, 1 << 20, &log, &err), 0);
	for (const char *p = log.data; p && (p = strstr(p, text)); p += strlen(text))
		n++;
	return n;
}

static inline bool is_there(const struct folder *f, const char *name)
{
	struct stat status;

	return lstat(in_folder(f, name), &status) == 0;
}

/* All settings as they are without a file, of a host with room for everybody. */
static inline void config_make(struct agent_config *config, const struct folder *f)
{
	struct error err = {0};

	*config = (struct agent_config){0};
	assert_int_equal(agent_config_load(config, put(f, "agent.conf", "version = '0.1'\n"), &err),
			 0);
	config->max_sessions_per_user = -1;
}

/* Sessions and server of an agent that knows its loop, settings and engine; the folder is its state. */
static inline void agent_begin(struct agent *agent, const struct folder *f)
{
	const struct session_list_handler handler = {.changed = agent->on_change,
						     .userdata = agent->userdata};
	struct error err = {0};

	assert_int_equal(session_list_init(&agent->sessions, agent->loop, agent->config, f->path,
					   &handler, &err),
			 0);
	assert_int_equal(server_init(&agent->server, agent->config, &agent->sessions, agent->engine,
				     f->path, &err),
			 0);
}

/* struct engine_ops::check of an engine that is always well. */
static inline int engine_is_well(struct engine *engine, struct error *err)
{
	(void)engine;
	(void)err;
	return 0;
}

static inline void on_out_of_patience(void *userdata)
{
	(void)userdata;
	fail_msg("what was waited for did not happen");
}

/* Run the loop until the condition holds. */
#define run_until(loop_, condition)                                                                \
	do {                                                                                       \
		struct timer *limit_ = timer_new(loop_, on_out_of_patience, NULL);                 \
                                                                                                   \
		timer_start(limit_, PATIENCE_MS, 0);                                               \
		while (!(condition))                                                               \
			(void)uv_run(&(loop_)->uv, UV_RUN_ONCE);                                   \
		timer_free(limit_);                                                                \
	} while (0)

/* Let everything happen that can happen by now. */
static inline void run_now(struct loop *loop)
{
	for (int i = 0; i < 20; i++)
		(void)uv_run(&loop->uv, UV_RUN_NOWAIT);
}

#endif
