/* A session from the order to its end, and what is asked of it meanwhile. */
#include "agent/engines/engine.h"

#include "common/failures.h"
#include "tests/unit/agent/x11-fixture.h"

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
		TEST(a_screenshot_without_a_program_is_refused_with_the_keepers_reason),
		TEST(a_screenshot_does_not_wait_for_a_connection_that_was_lost),
		TEST(a_screenshot_of_no_session_of_ours_is_refused),
		TEST(a_keeper_of_an_earlier_release_is_not_asked_for_files),
		TEST(a_listener_is_found_without_being_bothered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
