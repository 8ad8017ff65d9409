/* The engine against a keeper that this test plays: a listener, control sockets, and what is said
 * over them. */
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/engines/engine.h"
#include "agent/keeper/protocol.h"
#include "common/failures.h"
#include "common/message.h"
#include "common/text.h"
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

static struct session *on_found(const struct found_session *found, void *userdata)
{
	struct fixture *f = userdata;

	assert_string_equal(found->owner, "alice");
	f->found_type = found->type;
	f->n_found++;
	return f->knows_sessions && strcmp(found->id, f->session->id) == 0 ? f->session : NULL;
}

static void on_searched(void *userdata)
{
	((struct fixture *)userdata)->n_searched++;
}

static void on_starting(struct session *session, void *userdata)
{
	struct fixture *f = userdata;

	assert_ptr_equal(session, f->session);
	f->n_starting++;
}

static void on_ready(struct session *session, void *userdata)
{
	struct fixture *f = userdata;

	assert_ptr_equal(session, f->session);
	f->n_ready++;
}

static void note(struct fixture *f, const char *reason)
{
	(void)snprintf(f->reason, sizeof(f->reason), "%s", reason ? reason : "(none)");
}

static void on_ending(struct session *session, const char *reason, void *userdata)
{
	struct fixture *f = userdata;

	(void)session;
	f->n_ending++;
	note(f, reason);
}

static void on_ended(struct session *session, const char *reason, enum error_code code,
		     void *userdata)
{
	struct fixture *f = userdata;

	assert_null(session->part);
	f->n_ended++;
	f->code = code;
	note(f, reason);
}

static void on_used(struct session *session, long long cpu_ms, void *userdata)
{
	struct fixture *f = userdata;

	assert_ptr_equal(session, f->session);
	f->n_used++;
	f->cpu_ms = cpu_ms;
}

static int listen_at(const char *path, int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(strlen(path) < sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static int set_up(void **state)
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

static int tear_down(void **state)
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

static bool accepts(struct fixture *f, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return false;
	assert_true(f->n_keepers < KEEPERS_MAX);
	f->keepers[f->n_keepers++] = fd;
	return true;
}

/* The next connection at @listener; its index. */
static size_t await_connection(struct fixture *f, int listener)
{
	run_until(&f->loop, accepts(f, listener));
	return f->n_keepers - 1;
}

/* The next packet of a connection, each NUL as '|'. */
static const char *receive(struct fixture *f, size_t i)
{
	static char text[4096];
	ssize_t n = -1;

	run_until(&f->loop, (n = recv(f->keepers[i], text, sizeof(text) - 1, 0)) >= 0);
	text[n] = '\0';
	for (ssize_t at = 0; at < n; at++)
		text[at] = text[at] ? text[at] : '|';
	return text;
}

static void say(struct fixture *f, size_t i, const char *fields, size_t len)
{
	assert_int_equal(send(f->keepers[i], fields, len, MSG_NOSIGNAL), len);
}

#define SAY(f, i, fields) say(f, i, fields, sizeof(fields))
#define STATE(state) "EVENT=state\0NUMBER=5\0SESSION_ID=s1\0OWNER=alice\0STATE=" state
#define START "OPERATION=start|SESSION_ID=s1|OWNER=alice|INIT_FILE=init.sh|"

static void create(struct fixture *f)
{
	struct error err = {0};

	assert_int_equal(f->engine->ops->create(f->engine, f->session, &err), 0);
	assert_non_null(f->session->part);
}

/* A session whose keeper is at connection 0 and has the number 5. */
static void create_ready(struct fixture *f)
{
	create(f);
	assert_int_equal(await_connection(f, f->listener), 0);
	assert_string_equal(receive(f, 0), START);
	SAY(f, 0, STATE("starting"));
	SAY(f, 0, "EVENT=ready\0DISPLAY=:1\0XAUTHORITY=/x");
	run_until(&f->loop, f->n_ready == 1);
}

/* The folder of number 5, with or without somebody who listens there. */
static void make_number(struct fixture *f, bool listens)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/5", f->run_dir);
	(void)mkdir(path, 0755);
	(void)snprintf(path, sizeof(path), "%s/5/control", f->run_dir);
	f->control = listen_at(path, 10);
	if (!listens)
		close_p(&f->control);
}

static void a_session_is_ordered_becomes_ready_and_ends(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	f->engine->ops->end(f->engine, f->session, "deleted on request");
	assert_string_equal(receive(f, 0), "OPERATION=stop|REASON=deleted on request|");
	SAY(f, 0, "EVENT=ending\0REASON=deleted on request");
	SAY(f, 0, "EVENT=ending\0REASON=2 processes do not end\0LEFT=2");
	run_until(&f->loop, f->n_ending == 2);
	assert_int_equal(f->session->n_leaked, 2);
	SAY(f, 0, "EVENT=ended\0REASON=deleted on request");
	run_until(&f->loop, f->n_ended == 1);
	/* who ended it has told why already */
	assert_string_equal(f->reason, "(none)");
}

static void a_session_that_waits_for_its_turn_starts_when_its_keeper_says_so(void **state)
{
	struct fixture *f = *state;

	create(f);
	(void)await_connection(f, f->listener);
	SAY(f, 0, STATE("waiting"));
	SAY(f, 0, "EVENT=exited\0PROGRAM=init\0STATUS=a sign");
	run_until(&f->loop, f->session->init_status);
	assert_int_equal(f->n_starting, 0);
	SAY(f, 0, "EVENT=starting");
	run_until(&f->loop, f->n_starting == 1);
}

static void how_programs_have_ended_is_known(void **state)
{
	struct fixture *f = *state;

	f->session->autorun_file = strdup("run.sh");
	create(f);
	(void)await_connection(f, f->listener);
	SAY(f, 0, STATE("starting"));
	SAY(f, 0, "EVENT=exited\0PROGRAM=autorun\0STATUS=exit status 3");
	SAY(f, 0, "EVENT=exited\0PROGRAM=another\0STATUS=exit status 4");
	SAY(f, 0, "EVENT=exited\0PROGRAM=init");
	SAY(f, 0, "EVENT=ready\0DISPLAY=:1\0XAUTHORITY=/x");
	run_until(&f->loop, f->n_ready == 1);
	assert_string_equal(f->session->init_status, "running");
	assert_string_equal(f->session->autorun_status, "exit status 3");
	SAY(f, 0, "EVENT=ended\0REASON=x");
	run_until(&f->loop, f->n_ended == 1);
	assert_string_equal(f->session->autorun_status, "exit status 3");
}

static void an_adopted_session_knows_how_its_programs_have_ended(void **state)
{
	struct fixture *f = *state;
	struct error err;

	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &err), 0);
	(void)await_connection(f, f->control);
	SAY(f, 0, STATE("ready") "\0INIT=exit status 0\0AUTORUN=killed by signal 9");
	run_until(&f->loop, f->n_ready == 1);
	assert_string_equal(f->session->init_status, "exit status 0");
	assert_string_equal(f->session->autorun_status, "killed by signal 9");
}

static void the_keeper_tells_what_the_session_has_used_and_tells_the_owner(void **state)
{
	struct fixture *f = *state;
	struct error err;

	create_ready(f);
	f->engine->ops->usage(f->engine, f->session);
	assert_string_equal(receive(f, 0), "OPERATION=usage|");
	SAY(f, 0, "EVENT=usage\0CPU_MS=12345678901");
	run_until(&f->loop, f->n_used == 1);
	assert_int_equal(f->cpu_ms, 12345678901);
	SAY(f, 0, "EVENT=usage\0CPU_MS=-5");
	run_until(&f->loop, f->n_used == 2);
	assert_int_equal(f->cpu_ms, -1);
	assert_int_equal(f->engine->ops->notify(f->engine, f->session, "it ends", &err), 0);
	assert_string_equal(receive(f, 0), "OPERATION=notify|TEXT=it ends|");
	close_p(&f->keepers[0]);
	run_until(&f->loop, f->n_ended == 1);
	assert_fails(f->engine->ops->notify(f->engine, f->session, "x", &err), ERR_UNAVAILABLE);
	f->engine->ops->usage(f->engine, f->session); /* nobody to ask, and no harm */
}

static void a_session_that_fails_tells_why_and_whose_fault_it_was(void **state)
{
	static const struct {
		const char *packet;
		size_t len;
		enum error_code code;
	} cases[] = {
#define CASE(packet, code) {packet, sizeof(packet), code}
		CASE("EVENT=failed\0REASON=x\0CODE=NOT_FOUND", ERR_NOT_FOUND),
		CASE("EVENT=failed\0REASON=x\0CODE=SYSTEM", ERR_SYSTEM),
		CASE("EVENT=failed\0REASON=x\0CODE=OF_ANOTHER_RELEASE", ERR_NONE),
		CASE("EVENT=failed\0REASON=x\0CODE=NONE", ERR_NONE),
		CASE("EVENT=failed\0REASON=x\0CODE=", ERR_NONE),
		CASE("EVENT=failed\0REASON=x", ERR_NONE),
		/* it was no failure */
		CASE("EVENT=ended\0REASON=x\0CODE=DENIED", ERR_NONE),
#undef CASE
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		f->code = ERR_USAGE;
		f->n_ended = 0;
		create(f);
		(void)await_connection(f, f->listener);
		say(f, 0, cases[i].packet, cases[i].len);
		run_until(&f->loop, f->n_ended == 1);
		assert_string_equal(f->reason, "x");
		assert_int_equal(f->code, cases[i].code);
		close_p(&f->keepers[0]);
		f->n_keepers = 0;
	}
}

static void a_failure_that_was_asked_for_is_nobodys_fault(void **state)
{
	struct fixture *f = *state;

	create(f);
	(void)await_connection(f, f->listener);
	f->engine->ops->end(f->engine, f->session, "deleted on request");
	f->code = ERR_USAGE;
	SAY(f, 0, "EVENT=failed\0REASON=user not found: alice\0CODE=NOT_FOUND");
	run_until(&f->loop, f->n_ended == 1);
	assert_int_equal(f->code, ERR_NONE);
}

static void arguments_go_along_byte_by_byte(void **state)
{
	struct fixture *f = *state;

	f->session->autorun_file = strdup("run.sh");
	f->session->autorun_arguments = json_pack("[s,s,s]", "--a b", "", "$(x) 'q' \"");
	create(f);
	(void)await_connection(f, f->listener);
	assert_string_equal(receive(f, 0), START "AUTORUN_FILE=run.sh|ARGUMENT=--a b|ARGUMENT=|"
						 "ARGUMENT=$(x) 'q' \"|");
}

/* Devices that every host has stand for GPUs. */
static void set_gpus(struct fixture *f, const char *patterns, size_t size)
{
	free(f->config.gl_render_nodes);
	f->config.gl_render_nodes = memcpy(malloc(size), patterns, size);
}

#define SET_GPUS(f, patterns) set_gpus(f, patterns "\0", sizeof(patterns) + 1)

static void a_found_session_keeps_its_gpu_and_the_next_one_has_another(void **state)
{
	struct fixture *f = *state;
	const struct create_session_request request = {
		.name = "n", .owner = "alice", .type = "VIRTUAL", .dcv_gl_enabled = true};
	struct error err;
	struct session *second = session_new("s2", &request, 0, &err);

	SET_GPUS(f, "/dev/null\0/dev/zero");
	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &err), 0);
	assert_int_equal(await_connection(f, f->control), 0);
	SAY(f, 0, STATE("ready") "\0RENDER_NODE=/dev/null");
	run_until(&f->loop, f->n_ready == 1);
	assert_int_equal(f->engine->ops->create(f->engine, second, &err), 0);
	(void)await_connection(f, f->listener);
	assert_string_equal(receive(f, 1), "OPERATION=start|SESSION_ID=s2|OWNER=alice|"
					   "RENDER_NODE=/dev/zero|");
	f->engine->ops->free(f->engine);
	f->engine = NULL;
	session_free(second);
}

static void the_keeper_knows_better_which_gpu_a_session_has(void **state)
{
	struct fixture *f = *state;
	const struct create_session_request request = {
		.name = "n", .owner = "alice", .type = "VIRTUAL", .dcv_gl_enabled = true};
	struct error err;
	struct session *second = session_new("s2", &request, 0, &err);

	SET_GPUS(f, "/dev/null\0/dev/zero");
	f->session->is_gl_wanted = true;
	create(f);
	(void)await_connection(f, f->listener);
	make_number(f, true);
	SAY(f, 0, "EVENT=failed\0REASON=session s1 exists already\0NUMBER=5");
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("ready") "\0RENDER_NODE=/dev/zero");
	run_until(&f->loop, f->n_ready == 1);
	assert_int_equal(f->engine->ops->create(f->engine, second, &err), 0);
	(void)await_connection(f, f->listener);
	assert_string_equal(receive(f, 2), "OPERATION=start|SESSION_ID=s2|OWNER=alice|"
					   "RENDER_NODE=/dev/null|");
	f->engine->ops->free(f->engine);
	f->engine = NULL;
	session_free(second);
}

static void without_a_gpu_nobody_is_given_one(void **state)
{
	struct fixture *f = *state;
	struct error err;

	SET_GPUS(f, "/dev/no-such-device*");
	create(f); /* who wants none has no need of one */
	f->engine->ops->end(f->engine, f->session, "x");
	(void)await_connection(f, f->listener);
	(void)receive(f, 0);
	SAY(f, 0, "EVENT=ended\0REASON=x");
	run_until(&f->loop, f->n_ended == 1);
	f->session->is_gl_wanted = true;
	assert_fails(f->engine->ops->create(f->engine, f->session, &err), ERR_UNSUPPORTED);
	assert_null(f->session->part);
}

static void more_than_a_packet_holds_is_refused_at_once(void **state)
{
	struct fixture *f = *state;
	static char large[70000];
	struct error err;

	memset(large, 'x', sizeof(large) - 1);
	f->session->autorun_file = strdup("run.sh");
	f->session->autorun_arguments = json_pack("[s]", large);
	assert_fails(f->engine->ops->create(f->engine, f->session, &err), ERR_TOO_LARGE);
	assert_null(f->session->part);
}

static void a_console_session_is_ordered_as_one(void **state)
{
	struct fixture *f = *state;

	f->session->type = "CONSOLE";
	free(f->session->init_file);
	f->session->init_file = NULL;
	create(f);
	(void)await_connection(f, f->listener);
	assert_string_equal(receive(f, 0),
			    "OPERATION=start|SESSION_ID=s1|OWNER=alice|TYPE=console|");
}

static void without_a_listener_nothing_begins(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(unlink(f->listen_path), 0);
	/* what is not found is a part of the host, and not what was asked for */
	assert_fails(f->engine->ops->create(f->engine, f->session, &err), ERR_SYSTEM);
	assert_memory_equal(err.message, "session keeper: connect to ", 27);
	assert_null(f->session->part);
}

static void a_listener_whose_queue_is_full_is_tried_again(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fds[2];

	close_p(&f->listener);
	assert_int_equal(unlink(f->listen_path), 0);
	f->listener = listen_at(f->listen_path, 0);
	strcpy(address.sun_path, f->listen_path);
	fds[0] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&address, sizeof(address)), 0);
	create(f);
	run_now(&f->loop);
	(void)await_connection(f, f->listener); /* that of fds[0] */
	(void)await_connection(f, f->listener);
	assert_string_equal(receive(f, 1), START);
	close_p(&fds[0]);
}

static void a_listener_that_only_hangs_up_is_not_asked_for_ever(void **state)
{
	struct fixture *f = *state;

	create(f);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(await_connection(f, f->listener), i);
		close_p(&f->keepers[i]);
	}
	run_until(&f->loop, f->n_ended == 1);
	assert_string_equal(f->reason,
			    "session keeper: the connection is closed without an answer");
	assert_int_equal(f->code, ERR_UNREACHABLE);
}

static void an_order_to_end_before_there_is_a_keeper_is_given_to_it(void **state)
{
	struct fixture *f = *state;

	create(f);
	(void)await_connection(f, f->listener);
	f->engine->ops->end(f->engine, f->session, "deleted on request");
	(void)receive(f, 0);
	assert_string_equal(receive(f, 0), "OPERATION=stop|REASON=deleted on request|");
	/* and again when the connection was lost before it was heard */
	close_p(&f->keepers[0]);
	assert_int_equal(await_connection(f, f->listener), 1);
	(void)receive(f, 1);
	SAY(f, 1, STATE("starting"));
	assert_string_equal(receive(f, 1), "OPERATION=stop|REASON=deleted on request|");
}

static void a_lost_connection_is_made_again(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, true);
	close_p(&f->keepers[0]);
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("ready"));
	SAY(f, 1, "EVENT=ending\0REASON=init file ended");
	run_until(&f->loop, f->n_ending == 1);
	assert_int_equal(f->n_ended, 0);
	assert_string_equal(f->reason, "init file ended");
}

static void what_a_killed_keeper_left_is_cleaned_before_the_end_is_told(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, false);
	close_p(&f->keepers[0]);
	assert_int_equal(await_connection(f, f->listener), 1);
	assert_string_equal(receive(f, 1), "OPERATION=clean|NUMBER=5|");
	run_now(&f->loop);
	assert_int_equal(f->n_ended, 0);
	SAY(f, 1, "EVENT=cleaned\0NUMBER=5");
	run_until(&f->loop, f->n_ended == 1);
	assert_string_equal(f->reason, "the session's keeper was killed");
}

static void what_cannot_be_cleaned_has_not_ended(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, false);
	close_p(&f->keepers[0]);
	assert_int_equal(await_connection(f, f->listener), 1);
	(void)receive(f, 1);
	SAY(f, 1, "EVENT=failed\0REASON=session s1: 1 processes do not end");
	close_p(&f->keepers[1]);
	assert_int_equal(await_connection(f, f->listener), 2); /* asked again */
	assert_int_equal(f->n_ended, 0);
	assert_string_equal(receive(f, 2), "OPERATION=clean|NUMBER=5|");
	SAY(f, 2, "EVENT=cleaned\0NUMBER=5");
	run_until(&f->loop, f->n_ended == 1);
}

static void a_keeper_that_is_gone_with_its_folder_has_ended(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	close_p(&f->keepers[0]);
	run_until(&f->loop, f->n_ended == 1);
}

static void a_keeper_that_does_not_listen_yet_is_waited_for(void **state)
{
	struct fixture *f = *state;
	char path[256];

	/* killed between the order and the answer, the agent finds a folder without socket */
	(void)snprintf(path, sizeof(path), "%s/5", f->run_dir);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	assert_int_equal(await_connection(f, f->listener), 0);
	assert_string_equal(receive(f, 0), "OPERATION=clean|NUMBER=5|");
	make_number(f, true);
	SAY(f, 0, "EVENT=failed\0REASON=the keeper of session 5 lives");
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("starting"));
	run_until(&f->loop, f->n_found == 1);
	run_until(&f->loop, f->session->part);
	assert_int_equal(f->n_ended, 0);
}

static void an_order_that_had_its_effect_before_finds_the_session(void **state)
{
	struct fixture *f = *state;

	create(f);
	(void)await_connection(f, f->listener);
	make_number(f, true);
	SAY(f, 0, "EVENT=failed\0REASON=session s1 exists already\0NUMBER=5");
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("ready"));
	run_until(&f->loop, f->n_ready == 1);
	assert_int_equal(f->n_ended, 0);
	assert_non_null(f->session->part);
}

static void a_number_that_has_become_another_sessions_is_left_alone(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, true);
	close_p(&f->keepers[0]);
	(void)await_connection(f, f->control);
	SAY(f, 1, "EVENT=state\0NUMBER=5\0SESSION_ID=s2\0OWNER=alice\0STATE=ready");
	run_until(&f->loop, f->n_ended == 1);
	assert_string_equal(f->reason, "the session's keeper is gone");
}

static void sessions_that_were_there_are_found(void **state)
{
	struct fixture *f = *state;

	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	assert_int_equal(f->n_searched, 0);
	(void)await_connection(f, f->control);
	SAY(f, 0, STATE("ready"));
	run_until(&f->loop, f->n_searched == 1);
	assert_int_equal(f->n_found, 1);
	assert_int_equal(f->n_ready, 1);
	assert_string_equal(f->found_type, "VIRTUAL");
	assert_non_null(f->session->part);
}

static void a_console_session_that_was_there_is_found_as_one(void **state)
{
	struct fixture *f = *state;

	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	(void)await_connection(f, f->control);
	say(f, 0, STATE("ready\0TYPE=console"), sizeof(STATE("ready\0TYPE=console")));
	run_until(&f->loop, f->n_searched == 1);
	assert_string_equal(f->found_type, "CONSOLE");
}

static void a_session_that_was_found_ending_is_ending(void **state)
{
	struct fixture *f = *state;

	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	(void)await_connection(f, f->control);
	say(f, 0, STATE("ending\0REASON=init file ended"),
	    sizeof(STATE("ending\0REASON=init file ended")));
	run_until(&f->loop, f->n_ending == 1);
	assert_string_equal(f->reason, "init file ended");
}

static void sessions_that_nobody_wants_are_left_alone(void **state)
{
	struct fixture *f = *state;
	char byte;

	f->knows_sessions = false;
	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	(void)await_connection(f, f->control);
	SAY(f, 0, STATE("ready"));
	run_until(&f->loop, f->n_searched == 1);
	run_until(&f->loop, recv(f->keepers[0], &byte, 1, 0) == 0);
}

static void the_search_ends_without_anything_to_find(void **state)
{
	struct fixture *f = *state;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/claim.lock", f->run_dir);
	assert_int_equal(mkdir(path, 0755), 0); /* no number: none of a keeper's */
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	assert_int_equal(f->n_searched, 1);
}

static void a_keeper_that_says_nothing_does_not_hold_up_the_search(void **state)
{
	struct fixture *f = *state;

	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	(void)await_connection(f, f->control);
	run_until(&f->loop, f->n_searched == 1);
	/* it is found when it speaks */
	SAY(f, 0, STATE("ready"));
	run_until(&f->loop, f->n_ready == 1);
	assert_int_equal(f->n_searched, 1);
}

static void a_listener_that_says_nothing_does_not_hold_up_the_search(void **state)
{
	struct fixture *f = *state;

	make_number(f, false);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	assert_int_equal(await_connection(f, f->listener), 0);
	run_until(&f->loop, f->n_searched == 1);
}

static void one_session_has_one_part(void **state)
{
	struct fixture *f = *state;
	struct engine_session *first;

	create(f);
	first = f->session->part;
	(void)await_connection(f, f->listener);
	f->engine->ops->end(f->engine, f->session, "deleted on request");
	make_number(f, true);
	assert_int_equal(f->engine->ops->search(f->engine, &(struct error){0}), 0);
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("starting"));
	/* what the first was told is told to the keeper that was found */
	assert_string_equal(receive(f, 1), "OPERATION=stop|REASON=deleted on request|");
	assert_ptr_not_equal(f->session->part, first);
	SAY(f, 1, "EVENT=ended\0REASON=x");
	run_until(&f->loop, f->n_ended == 1);
	run_now(&f->loop);
	assert_int_equal(f->n_ended, 1);
}

static void nonsense_from_a_keeper_is_no_end(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, true);
	SAY(f, 0, "EVENT=dance");
	SAY(f, 0, "REASON=none");
	SAY(f, 0, "EVENT=state");
	SAY(f, 0, "EVENT=capture\0TAG=1");
	say(f, 0, "nonsense", 8);
	assert_int_equal(await_connection(f, f->control), 1);
	SAY(f, 1, STATE("ready"));
	run_now(&f->loop);
	assert_int_equal(f->n_ended, 0);
	assert_non_null(f->session->part);
}

static void on_shot(struct answer *answer, struct buf *text, const struct error *err);

static struct {
	struct answer answer;
	struct fixture *f;
} shot = {.answer = {on_shot}};

static void on_shot(struct answer *answer, struct buf *text, const struct error *err)
{
	(void)answer;
	(void)text;
	assert_non_null(err);
	shot.f->shot = *err;
}

static void ask_screenshot(struct fixture *f)
{
	const struct screenshot_wish wish = {160, 100, "png", 5000};

	shot.f = f;
	f->engine->ops->screenshot(f->engine, f->session, &wish, &shot.answer);
}

static void a_screenshot_without_a_program_is_refused_with_the_keepers_reason(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	ask_screenshot(f);
	assert_string_equal(receive(f, 0), "OPERATION=capture|TAG=1|");
	SAY(f, 0, "EVENT=capture\0TAG=1\0REASON=too many capture programs run already");
	run_until(&f->loop, f->shot.code != ERR_NONE);
	assert_string_equal(f->shot.message, "screenshot: too many capture programs run already");
}

static void a_screenshot_does_not_wait_for_a_connection_that_was_lost(void **state)
{
	struct fixture *f = *state;

	create_ready(f);
	make_number(f, true);
	ask_screenshot(f);
	(void)receive(f, 0);
	close_p(&f->keepers[0]);
	run_until(&f->loop, f->shot.code != ERR_NONE);
	assert_int_equal(f->shot.code, ERR_SYSTEM);
	f->shot = (struct error){0};
	(void)await_connection(f, f->control);
	SAY(f, 1, STATE("ready"));
	ask_screenshot(f);
	assert_string_equal(receive(f, 1), "OPERATION=capture|TAG=1|");
}

static void a_screenshot_of_no_session_of_ours_is_refused(void **state)
{
	struct fixture *f = *state;

	ask_screenshot(f);
	assert_int_equal(f->shot.code, ERR_CONFLICT);
	assert_string_equal(f->shot.message, FAILURE_NOT_READY_SCREENSHOT);
}

struct wish {
	struct connection_wish wish; /* first */
	struct error err;
	unsigned n_given;
};

static void on_given(struct connection_wish *wish, int fd, const struct error *err)
{
	struct wish *given = (struct wish *)(void *)wish;

	assert_int_equal(fd, -1);
	given->err = *err;
	given->n_given++;
}

static void a_keeper_of_an_earlier_release_is_not_asked_for_files(void **state)
{
	struct fixture *f = *state;
	struct wish files = {.wish = {.folder = "/home/alice", .give = on_given}};
	struct wish picture = {.wish = {.give = on_given}};

	create_ready(f);
	f->engine->ops->connect(f->engine, f->session, &files.wish);
	assert_int_equal(files.n_given, 1);
	assert_int_equal(files.err.code, ERR_UNSUPPORTED);
	f->engine->ops->connect(f->engine, f->session, &picture.wish);
	assert_string_equal(receive(f, 0), "OPERATION=connect|TAG=0|");
	SAY(f, 0, "EVENT=connect\0TAG=0\0REASON=not now");
	SAY(f, 0, STATE("ready") "\0FILES=1");
	run_until(&f->loop, f->session->serves_files);
	assert_int_equal(picture.n_given, 1);
	f->engine->ops->connect(f->engine, f->session, &files.wish);
	assert_string_equal(receive(f, 0), "OPERATION=files|TAG=1|FOLDER=/home/alice|");
	SAY(f, 0, "EVENT=files\0TAG=1\0REASON=not now");
	run_until(&f->loop, files.n_given == 2);
}

static void a_listener_is_found_without_being_bothered(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};

	assert_int_equal(f->engine->ops->check(f->engine, &err), 0);
	assert_int_equal(accept(f->listener, NULL, NULL), -1); /* nobody has called */
	/* killed: what it leaves is a socket that nobody listens at */
	close_p(&f->listener);
	assert_fails(f->engine->ops->check(f->engine, &err), err.code);
	assert_non_null(strstr(err.message, f->listen_path));
	assert_non_null(strstr(err.message, "Connection refused"));
	assert_int_equal(unlink(f->listen_path), 0);
	assert_fails(f->engine->ops->check(f->engine, &err), ERR_NOT_FOUND);
	f->listener = listen_at(f->listen_path, 10);
	assert_int_equal(f->engine->ops->check(f->engine, &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_is_ordered_becomes_ready_and_ends),
		TEST(a_session_that_waits_for_its_turn_starts_when_its_keeper_says_so),
		TEST(how_programs_have_ended_is_known),
		TEST(an_adopted_session_knows_how_its_programs_have_ended),
		TEST(the_keeper_tells_what_the_session_has_used_and_tells_the_owner),
		TEST(a_session_that_fails_tells_why_and_whose_fault_it_was),
		TEST(a_failure_that_was_asked_for_is_nobodys_fault),
		TEST(arguments_go_along_byte_by_byte),
		TEST(a_found_session_keeps_its_gpu_and_the_next_one_has_another),
		TEST(the_keeper_knows_better_which_gpu_a_session_has),
		TEST(without_a_gpu_nobody_is_given_one),
		TEST(more_than_a_packet_holds_is_refused_at_once),
		TEST(a_console_session_is_ordered_as_one),
		TEST(without_a_listener_nothing_begins),
		TEST(a_listener_whose_queue_is_full_is_tried_again),
		TEST(a_listener_that_only_hangs_up_is_not_asked_for_ever),
		TEST(an_order_to_end_before_there_is_a_keeper_is_given_to_it),
		TEST(a_lost_connection_is_made_again),
		TEST(what_a_killed_keeper_left_is_cleaned_before_the_end_is_told),
		TEST(what_cannot_be_cleaned_has_not_ended),
		TEST(a_keeper_that_is_gone_with_its_folder_has_ended),
		TEST(a_keeper_that_does_not_listen_yet_is_waited_for),
		TEST(an_order_that_had_its_effect_before_finds_the_session),
		TEST(a_number_that_has_become_another_sessions_is_left_alone),
		TEST(sessions_that_were_there_are_found),
		TEST(a_console_session_that_was_there_is_found_as_one),
		TEST(a_session_that_was_found_ending_is_ending),
		TEST(sessions_that_nobody_wants_are_left_alone),
		TEST(the_search_ends_without_anything_to_find),
		TEST(a_keeper_that_says_nothing_does_not_hold_up_the_search),
		TEST(a_listener_that_says_nothing_does_not_hold_up_the_search),
		TEST(one_session_has_one_part),
		TEST(nonsense_from_a_keeper_is_no_end),
		TEST(a_screenshot_without_a_program_is_refused_with_the_keepers_reason),
		TEST(a_screenshot_does_not_wait_for_a_connection_that_was_lost),
		TEST(a_screenshot_of_no_session_of_ours_is_refused),
		TEST(a_keeper_of_an_earlier_release_is_not_asked_for_files),
		TEST(a_listener_is_found_without_being_bothered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
