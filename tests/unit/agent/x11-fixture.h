/** What the tests of the X11 engine share: a keeper that the test plays, with a listener, control
 * sockets, and what is said over them. */
#ifndef TESTS_UNIT_AGENT_X11_FIXTURE_H
#define TESTS_UNIT_AGENT_X11_FIXTURE_H

#include <sys/socket.h>
#include <sys/un.h>

#include "agent/engines/engine.h"
#include "tests/unit/agent/fixture.h"

#define KEEPERS_MAX 4

struct fixture {
	struct folder folder;
	char listen_path[128], run_dir[128];
	struct agent_config config;
	struct loop loop;
	struct engine *engine;
	struct session *session;
	int listener, control;
	int keepers[KEEPERS_MAX]; /* connections, in the order of accept */
	size_t n_keepers;
	bool knows_sessions;    /* on_found gives f->session */
	const char *found_type; /* of the last one; a literal */
	unsigned n_found, n_searched, n_starting, n_ready, n_ending, n_ended, n_used;
	long long cpu_ms;
	char reason[256];
	enum error_code code;
	struct error shot;
};

static inline struct session *on_found(const struct found_session *found, void *userdata)
{
	struct fixture *f = userdata;

	assert_string_equal(found->owner, "alice");
	f->found_type = found->type;
	f->n_found++;
	return f->knows_sessions && strcmp(found->id, f->session->id) == 0 ? f->session : NULL;
}

static inline void on_searched(void *userdata)
{
	((struct fixture *)userdata)->n_searched++;
}

static inline void on_starting(struct session *session, void *userdata)
{
	struct fixture *f = userdata;

	assert_ptr_equal(session, f->session);
	f->n_starting++;
}

static inline void on_ready(struct session *session, void *userdata)
{
	struct fixture *f = userdata;

	assert_ptr_equal(session, f->session);
	f->n_ready++;
}

static inline void note(struct fixture *f, const char *reason)
{
	(void)snprintf(f->reason, sizeof(f->reason), "%s", reason ? reason : "(none)");
}

static inline void on_ending(struct session *session, const char *reason, void *userdata)
{
	struct fixture *f = userdata;

	(void)session;
	f->n_ending++;
	note(f, reason);
}

static inline void on_ended(struct session *session, const char *reason, enum error_code code,
			    void *userdata)
{
	struct fixture *f = userdata;

	assert_null(session->part);
	f->n_ended++;
	f->code = code;
	note(f, reason);
}

static inline void on_used(struct session *session, long long cpu_ms, void *userdata)
{
	struct fixture *f = userdata;

	assert_ptr_equal(session, f->session);
	f->n_used++;
	f->cpu_ms = cpu_ms;
}

static inline int listen_at(const char *path, int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(strlen(path) < sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static inline int set_up(void **state)
{
	static struct fixture f;
	const struct create_session_request request = {
		.name = "n", .owner = "alice", .type = "VIRTUAL", .init_file = "init.sh"};
	struct x11_options options = {
		.loop = &f.loop,
		.config = &f.config,
		.keeper_socket = f.listen_path,
		.keeper_run_dir = f.run_dir,
		.events = {on_found, on_searched, on_starting, on_ready, on_ending, on_ended,
			   on_used, NULL, &f},
	};
	struct error err;

	f = (struct fixture){.control = -1, .knows_sessions = true};
	log_set_level(LOG_LEVEL_ERROR);
	folder_make(&f.folder);
	config_make(&f.config, &f.folder);
	(void)snprintf(f.listen_path, sizeof(f.listen_path), "%s/listen", f.folder.path);
	(void)snprintf(f.run_dir, sizeof(f.run_dir), "%s/run", f.folder.path);
	assert_int_equal(mkdir(f.run_dir, 0755), 0);
	assert_int_equal(loop_init(&f.loop, &err), 0);
	f.listener = listen_at(f.listen_path, 10);
	f.engine = x11_engine_new(&options, &err);
	assert_non_null(f.engine);
	f.session = session_new("s1", &request, 0, &err);
	*state = &f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	if (f->engine)
		f->engine->ops->free(f->engine);
	assert_null(f->session->part);
	session_free(f->session);
	for (size_t i = 0; i < KEEPERS_MAX && i < f->n_keepers; i++)
		close_p(&f->keepers[i]);
	close_p(&f->listener);
	close_p(&f->control);
	loop_done(&f->loop);
	agent_config_done(&f->config);
	folder_remove(&f->folder);
	return 0;
}

static inline bool accepts(struct fixture *f, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return false;
	assert_true(f->n_keepers < KEEPERS_MAX);
	f->keepers[f->n_keepers++] = fd;
	return true;
}

/* The next connection at @listener; its index. */
static inline size_t await_connection(struct fixture *f, int listener)
{
	run_until(&f->loop, accepts(f, listener));
	return f->n_keepers - 1;
}

/* The next packet of a connection, each NUL as '|'. */
static inline const char *receive(struct fixture *f, size_t i)
{
	static char text[4096];
	ssize_t n = -1;

	run_until(&f->loop, (n = recv(f->keepers[i], text, sizeof(text) - 1, 0)) >= 0);
	text[n] = '\0';
	for (ssize_t at = 0; at < n; at++)
		text[at] = text[at] ? text[at] : '|';
	return text;
}

static inline void say(struct fixture *f, size_t i, const char *fields, size_t len)
{
	assert_int_equal(send(f->keepers[i], fields, len, MSG_NOSIGNAL), len);
}

#define SAY(f, i, fields) say(f, i, fields, sizeof(fields))
#define STATE(state) "EVENT=state\0NUMBER=5\0SESSION_ID=s1\0OWNER=alice\0STATE=" state
#define START "OPERATION=start|SESSION_ID=s1|OWNER=alice|INIT_FILE=init.sh|"

static inline void create(struct fixture *f)
{
	struct error err = {0};

	assert_int_equal(f->engine->ops->create(f->engine, f->session, &err), 0);
	assert_non_null(f->session->part);
}

/* A session whose keeper is at connection 0 and has the number 5. */
static inline void create_ready(struct fixture *f)
{
	create(f);
	assert_int_equal(await_connection(f, f->listener), 0);
	assert_string_equal(receive(f, 0), START);
	SAY(f, 0, STATE("starting"));
	SAY(f, 0, "EVENT=ready\0DISPLAY=:1\0XAUTHORITY=/x");
	run_until(&f->loop, f->n_ready == 1);
}

/* The folder of number 5, with or without somebody who listens there. */
static inline void make_number(struct fixture *f, bool listens)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/5", f->run_dir);
	(void)mkdir(path, 0755);
	(void)snprintf(path, sizeof(path), "%s/5/control", f->run_dir);
	f->control = listen_at(path, 10);
	if (!listens)
		close_p(&f->control);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
