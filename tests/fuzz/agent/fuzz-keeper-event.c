/* Packets of a keeper, to a session that was just ordered and to one that was found. Input: packets,
 * each with its length in two bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/engines/engine.h"
#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop loop;
static struct session *session;
static char folder[] = "/tmp/fuzz-keeper-XXXXXX";
static char listen_path[64], control_path[64];
static int listener, control;

static struct session *on_found(const struct found_session *found, void *userdata)
{
	(void)userdata;
	return strcmp(found->id, session->id) == 0 ? session : NULL;
}

static void on_searched(void *userdata)
{
	(void)userdata;
}

static void on_ready(struct session *s, void *userdata)
{
	(void)userdata;
	if (s != session || !s->part)
		abort();
}

static void on_ending(struct session *s, const char *reason, void *userdata)
{
	(void)reason;
	on_ready(s, userdata);
}

static void on_ended(struct session *s, const char *reason, enum error_code code, void *userdata)
{
	(void)reason;
	(void)userdata;
	if (s != session || s->part || code >= ERR_CODE_COUNT)
		abort();
}

static void on_used(struct session *s, long long cpu_ms, void *userdata)
{
	on_ready(s, userdata);
	if (cpu_ms < -1)
		abort();
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0)
		abort();
	return fd;
}

static void make_fixture(void)
{
	const struct create_session_request request = {
		.name = "n", .owner = "alice", .type = "VIRTUAL"};
	struct error err;
	char path[64];

	log_set_level(LOG_LEVEL_ERROR);
	if (!mkdtemp(folder) || loop_init(&loop, &err) < 0)
		abort();
	(void)snprintf(listen_path, sizeof(listen_path), "%s/listen", folder);
	(void)snprintf(path, sizeof(path), "%s/5", folder);
	(void)mkdir(path, 0700);
	(void)snprintf(control_path, sizeof(control_path), "%s/5/control", folder);
	listener = listen_at(listen_path);
	control = listen_at(control_path);
	session = session_new("s1", &request, 0, &err);
}

static void run(void)
{
	for (int i = 0; i < 3; i++)
		(void)uv_run(&loop.uv, UV_RUN_NOWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct agent_config config;
	struct x11_options options = {
		.loop = &loop,
		.config = &config,
		.keeper_socket = listen_path,
		.keeper_run_dir = folder,
		.events = {.found = on_found,
			   .searched = on_searched,
			   .starting = on_ready,
			   .ready = on_ready,
			   .ending = on_ending,
			   .ended = on_ended,
			   .used = on_used},
	};
	struct engine *engine;
	struct error err;
	int fd;

	if (size < 1)
		return 0;
	if (!session)
		make_fixture();
	engine = x11_engine_new(&options, &err);
	if (!engine)
		abort();
	if (data[0] & 1)
		(void)engine->ops->create(engine, session, &err);
	else
		(void)engine->ops->search(engine, &err);
	fd = accept4(data[0] & 1 ? listener : control, NULL, NULL, SOCK_CLOEXEC);
	if (data[0] & 2 && session->part)
		engine->ops->end(engine, session, "because");
	data++;
	size--;
	while (size >= 2) {
		size_t len = (size_t)data[0] << 8 | data[1];

		data += 2;
		size -= 2;
		len = len < size ? len : size;
		(void)send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		data += len;
		size -= len;
		run();
	}
	(void)close(fd);
	run();
	engine->ops->free(engine);
	run();
	if (session->part)
		abort();
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		(void)close(fd);
	while ((fd = accept4(control, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		(void)close(fd);
	return 0;
}
