/** What the agent's unit tests share: a temporary folder, files in it, and a loop that is run until
 * something has happened. */
#ifndef TESTS_UNIT_AGENT_FIXTURE_H
#define TESTS_UNIT_AGENT_FIXTURE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/config.h"
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
