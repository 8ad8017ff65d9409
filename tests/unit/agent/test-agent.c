/* An agent that starts, with records and keepers that were there before it. The keepers are played
 * by this test. */
#include "agent/agent.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "common/text.h"
#include "tests/unit/agent/fixture.h"

struct fixture {
	struct folder folder;
	char listen_path[128], run_dir[128];
	struct agent_config config;
	struct loop loop;
	struct agent agent;
	int listener, control, peer;
	bool is_ready;
};

static void on_ready(void *userdata)
{
	((struct fixture *)userdata)->is_ready = true;
}

static void on_change(void *userdata)
{
	(void)userdata;
}

static void on_stop(void *userdata)
{
	agent_done(&((struct fixture *)userdata)->agent);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(strlen(path) < sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int set_up(void **state)
{
	static struct fixture f;
	struct error err;

	f = (struct fixture){.control = -1, .peer = -1};
	log_set_level(LOG_LEVEL_ERROR);
	folder_make(&f.folder);
	config_make(&f.config, &f.folder);
	(void)snprintf(f.listen_path, sizeof(f.listen_path), "%s/listen", f.folder.path);
	(void)snprintf(f.run_dir, sizeof(f.run_dir), "%s/run", f.folder.path);
	assert_int_equal(mkdir(f.run_dir, 0755), 0);
	f.listener = listen_at(f.listen_path);
	assert_int_equal(loop_init(&f.loop, &err), 0);
	f.loop.on_stop = on_stop;
	f.loop.userdata = &f;
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	loop_done(&f->loop);
	close_p(&f->listener);
	close_p(&f->control);
	close_p(&f->peer);
	agent_config_done(&f->config);
	folder_remove(&f->folder);
	return 0;
}

/* A record of the agent before. */
static void put_record(struct fixture *f, const char *state, const char *more)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "{\"Id\":\"s1\",\"Name\":\"wing\",\"Owner\":\"alice\",\"Type\":\"VIRTUAL\","
		       "\"CreationTime\":\"2026-03-02T08:00:11.042Z\",\"State\":\"%s\"%s}",
		       state, more);
	(void)put(&f->folder, "sessions/s1.json", text);
}

/* A keeper of number 5. */
static void put_keeper(struct fixture *f)
{
	assert_int_equal(mkdir(in_folder(&f->folder, "run/5"), 0755), 0);
	f->control = listen_at(in_folder(&f->folder, "run/5/control"));
}

static void start(struct fixture *f)
{
	const struct agent_options options = {
		.state_folder = f->folder.path,
		.keeper_socket = f->listen_path,
		.keeper_run_dir = f->run_dir,
		.on_ready = on_ready,
		.on_change = on_change,
		.userdata = f,
	};
	struct error err = {0};

	assert_int_equal(agent_init(&f->agent, &f->loop, &f->config, &options, &err), 0);
	assert_int_equal(agent_start(&f->agent, &err), 0);
}

static bool accepts(struct fixture *f, int listener)
{
	close_p(&f->peer);
	f->peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return f->peer >= 0;
}

static const char *receive(struct fixture *f)
{
	static char text[1024];
	ssize_t n = -1;

	run_until(&f->loop, (n = recv(f->peer, text, sizeof(text) - 1, 0)) >= 0);
	text[n] = '\0';
	for (ssize_t i = 0; i < n; i++)
		text[i] = text[i] ? text[i] : '|';
	return text;
}

#define SAY(f, fields) assert_int_equal(send((f)->peer, fields, sizeof(fields), 0), sizeof(fields))
#define STATE(state) "EVENT=state\0NUMBER=5\0SESSION_ID=s1\0OWNER=alice\0STATE=" state

static const struct session *session(const struct fixture *f)
{
	return session_list_find(&f->agent.sessions, "s1");
}

static void a_session_that_was_ready_and_is_gone_has_ended(void **state)
{
	struct fixture *f = *state;

	put_record(f, "READY", "");
	start(f);
	run_until(&f->loop, f->is_ready);
	assert_int_equal(session(f)->state, SESSION_DELETED);
	assert_string_equal(session(f)->state_reason, "the session ended while the agent was away");
	assert_false(accepts(f, f->listener));
}

static void one_that_is_gone_while_it_was_deleted_has_ended(void **state)
{
	struct fixture *f = *state;

	put_record(f, "DELETING", ",\"StateReason\":\"deleted on request\"");
	start(f);
	run_until(&f->loop, f->is_ready);
	assert_int_equal(session(f)->state, SESSION_DELETED);
	assert_string_equal(session(f)->state_reason, "deleted on request");
	assert_false(accepts(f, f->listener));
}

static void a_session_that_was_ordered_is_ordered_again(void **state)
{
	struct fixture *f = *state;

	put_record(f, "CREATING", "");
	start(f);
	run_until(&f->loop, f->is_ready);
	assert_int_equal(session(f)->state, SESSION_CREATING);
	run_until(&f->loop, accepts(f, f->listener));
	assert_string_equal(receive(f), "OPERATION=start|SESSION_ID=s1|OWNER=alice|");
	assert_non_null(session(f)->rights);
}

static void a_keeper_that_answers_late_is_the_sessions_only_part(void **state)
{
	struct fixture *f = *state;
	AUTO(close_p) int late = -1;

	put_record(f, "CREATING", "");
	put_keeper(f);
	start(f);
	run_until(&f->loop, accepts(f, f->control));
	late = TAKE_FD(f->peer);
	/* it says nothing, so the session is ordered again; that order is refused in the end */
	run_until(&f->loop, f->is_ready);
	run_until(&f->loop, accepts(f, f->listener));
	assert_int_equal(send(late, STATE("ready"), sizeof(STATE("ready")), 0),
			 sizeof(STATE("ready")));
	run_until(&f->loop, session(f)->state == SESSION_READY);
	(void)send(f->peer, "EVENT=failed\0REASON=refused", 28, MSG_NOSIGNAL);
	run_now(&f->loop);
	assert_int_equal(session(f)->state, SESSION_READY);
	assert_non_null(session(f)->part);
}

static void a_session_that_was_deleted_and_lives_is_told_again(void **state)
{
	struct fixture *f = *state;

	put_record(f, "DELETING", "");
	put_keeper(f);
	start(f);
	run_until(&f->loop, accepts(f, f->control));
	SAY(f, STATE("ready"));
	assert_string_equal(receive(f), "OPERATION=stop|REASON=ordered again|");
	run_until(&f->loop, f->is_ready);
	assert_int_equal(session(f)->state, SESSION_DELETING);
}

static void a_session_that_was_taken_for_ended_keeps_what_it_was_asked_to_be(void **state)
{
	struct fixture *f = *state;

	put_record(f, "DELETED", ",\"EndTimeMs\":4102444800000,\"StateReason\":\"gone\"");
	put_keeper(f);
	start(f);
	run_until(&f->loop, accepts(f, f->control));
	SAY(f, STATE("ready"));
	run_until(&f->loop, f->is_ready);
	assert_int_equal(session(f)->state, SESSION_READY);
	assert_string_equal(session(f)->name, "wing");
	assert_null(session(f)->state_reason);
	assert_non_null(session(f)->rights);
}

static void a_session_that_cannot_begin_is_kept_with_the_code_of_why(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf record = {0};
	struct error err;

	put_record(f, "CREATING", "");
	start(f);
	run_until(&f->loop, accepts(f, f->listener));
	/* the files are looked at late: the end is told in two steps */
	SAY(f, STATE("starting"));
	SAY(f, "EVENT=ending\0REASON=init file 'x' does not exist");
	SAY(f, "EVENT=failed\0REASON=init file 'x' does not exist\0CODE=NOT_FOUND");
	run_until(&f->loop, session(f)->state == SESSION_DELETED);
	assert_string_equal(session(f)->state_reason, "init file 'x' does not exist");
	assert_int_equal(session(f)->failure, ERR_NOT_FOUND);
	assert_int_equal(file_read(in_folder(&f->folder, "sessions/s1.json"), 4096, &record, &err),
			 0);
	assert_non_null(strstr(record.data, "\"FailureCode\":\"NOT_FOUND\""));
}

static void a_session_that_was_ready_has_no_failure_whatever_its_keeper_says(void **state)
{
	struct fixture *f = *state;

	put_record(f, "READY", "");
	put_keeper(f);
	start(f);
	run_until(&f->loop, accepts(f, f->control));
	SAY(f, STATE("ready"));
	SAY(f, "EVENT=failed\0REASON=x\0CODE=NOT_FOUND");
	run_until(&f->loop, session(f)->state == SESSION_DELETED);
	assert_string_equal(session(f)->state_reason, "x");
	assert_int_equal(session(f)->failure, ERR_NONE);
}

static void a_session_without_a_record_is_adopted_whatever_the_limits(void **state)
{
	struct fixture *f = *state;

	f->config.max_virtual_sessions = 0;
	put_keeper(f);
	start(f);
	run_until(&f->loop, accepts(f, f->control));
	SAY(f, STATE("ready"));
	run_until(&f->loop, f->is_ready);
	assert_int_equal(session(f)->state, SESSION_READY);
	assert_string_equal(session(f)->owner, "alice");
	assert_non_null(session(f)->rights);
	assert_true(is_there(&f->folder, "sessions/s1.json"));
}

static void an_id_that_is_none_is_not_adopted(void **state)
{
	struct fixture *f = *state;

	put_keeper(f);
	start(f);
	run_until(&f->loop, accepts(f, f->control));
	SAY(f, "EVENT=state\0NUMBER=5\0SESSION_ID=../x\0OWNER=alice\0STATE=ready");
	run_until(&f->loop, f->is_ready);
	assert_int_equal(session_list_count(&f->agent.sessions, NULL).n_virtual, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_that_was_ready_and_is_gone_has_ended),
		TEST(one_that_is_gone_while_it_was_deleted_has_ended),
		TEST(a_session_that_was_ordered_is_ordered_again),
		TEST(a_keeper_that_answers_late_is_the_sessions_only_part),
		TEST(a_session_that_was_deleted_and_lives_is_told_again),
		TEST(a_session_that_was_taken_for_ended_keeps_what_it_was_asked_to_be),
		TEST(a_session_that_cannot_begin_is_kept_with_the_code_of_why),
		TEST(a_session_that_was_ready_has_no_failure_whatever_its_keeper_says),
		TEST(a_session_without_a_record_is_adopted_whatever_the_limits),
		TEST(an_id_that_is_none_is_not_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
