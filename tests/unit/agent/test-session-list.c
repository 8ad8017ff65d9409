#include "agent/session-list.h"

#include <signal.h>
#include <sys/resource.h>

#include "common/json.h"
#include "common/text.h"
#include "tests/unit/agent/fixture.h"

struct fixture {
	struct folder folder;
	struct loop loop;
	struct agent_config config;
	struct session_list list;
	unsigned n_changed;
	char expired[64];
};

static void on_changed(void *userdata)
{
	((struct fixture *)userdata)->n_changed++;
}

static void on_expired(struct session *session, void *userdata)
{
	struct fixture *f = userdata;

	(void)snprintf(f->expired, sizeof(f->expired), "%s", session->id);
}

static void open_list(struct fixture *f)
{
	const struct session_list_handler handler = {on_changed, on_expired, f};
	struct error err = {0};

	assert_int_equal(
		session_list_init(&f->list, &f->loop, &f->config, f->folder.path, &handler, &err),
		0);
}

static int set_up(void **state)
{
	static struct fixture f;
	struct error err = {0};

	f = (struct fixture){0};
	log_set_level(LOG_LEVEL_ERROR);
	folder_make(&f.folder);
	config_make(&f.config, &f.folder);
	assert_int_equal(loop_init(&f.loop, &err), 0);
	open_list(&f);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	session_list_done(&f->list);
	loop_done(&f->loop);
	agent_config_done(&f->config);
	folder_remove(&f->folder);
	return 0;
}

static struct session *make(const char *id, const char *owner, const char *type)
{
	const struct create_session_request request = {.name = id, .owner = owner, .type = type};
	struct error err = {0};
	struct session *s = session_new(id, &request, time_now_ms(), &err);

	assert_non_null(s);
	return s;
}

static struct session *add(struct fixture *f, const char *id, const char *owner)
{
	struct error err = {0};
	struct session *s = make(id, owner, "VIRTUAL");

	assert_int_equal(session_list_add(&f->list, s, &err), 0);
	return s;
}

/* Try in vain; the sentence. */
static const char *refusal_of(struct fixture *f, const char *id, const char *owner,
			      const char *type)
{
	static struct error err;
	struct session *s = make(id, owner, type);

	assert_fails(session_list_add(&f->list, s, &err), ERR_LIMIT);
	assert_null(session_list_find(&f->list, id));
	session_free(s);
	return err.message;
}

static const char *refusal(struct fixture *f, const char *id, const char *owner)
{
	return refusal_of(f, id, owner, "VIRTUAL");
}

static void ids_are_safe_as_names_of_files(void **state)
{
	static const char *const good[] = {"a", "0c9be39d-7d6c-4f0e-8f53-5a0c6a0e2b77", "a.b_c-D9"};
	static const char *const bad[] = {"",    "..",       "-a",  ".a",   "a/b", "a b",
					  "a\n", "\xc3\xa4", "a'b", "a\"b", "$(a)"};
	char longest[130] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(session_list_is_id(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(session_list_is_id(bad[i]));
	memset(longest, 'x', 128);
	assert_true(session_list_is_id(longest));
	longest[128] = 'x';
	assert_false(session_list_is_id(longest));
}

static void sessions_of_others_do_not_exist(void **state)
{
	struct fixture *f = *state;
	const struct caller alice = {.name = (char *)"alice"}, bob = {.name = (char *)"bob"};
	const struct caller root = {.name = (char *)"root", .is_admin = true};
	struct session *s = add(f, "s1", "alice");

	assert_ptr_equal(session_list_find(&f->list, "s1"), s);
	assert_ptr_equal(session_list_find_for(&f->list, &alice, "s1"), s);
	assert_null(session_list_find_for(&f->list, &bob, "s1"));
	assert_ptr_equal(session_list_find_for(&f->list, &root, "s1"), s);
	assert_null(session_list_find_for(&f->list, &root, "s2"));
}

static void limits_hold_for_the_host_and_for_each_user(void **state)
{
	struct fixture *f = *state;
	struct session *first;
	struct error err;

	f->config.max_virtual_sessions = 3;
	f->config.max_sessions_per_user = 2;
	first = add(f, "a1", "alice");
	(void)add(f, "a2", "alice");
	assert_string_equal(refusal(f, "a3", "alice"),
			    "user alice has the allowed 2 sessions on this host");
	(void)add(f, "b1", "bob");
	assert_string_equal(refusal(f, "b2", "bob"), "this host has its 3 virtual sessions");
	assert_int_equal(session_list_count(&f->list, "alice").n_owner, 2);
	/* one that is being deleted still takes its place, one that has ended does not */
	assert_int_equal(session_list_apply(&f->list, first, SESSION_EVENT_END, NULL, &err), 0);
	(void)refusal(f, "a3", "alice");
	assert_int_equal(session_list_apply(&f->list, first, SESSION_EVENT_ENDED, NULL, &err), 0);
	(void)add(f, "a3", "alice");
}

static void a_limit_of_zero_allows_none(void **state)
{
	struct fixture *f = *state;

	f->config.max_virtual_sessions = 0;
	(void)refusal(f, "s", "alice");
	f->config.max_virtual_sessions = -1;
	f->config.max_sessions_per_user = 0;
	(void)refusal(f, "s", "alice");
}

static void what_lives_is_adopted_whatever_the_limits_and_the_disk(void **state)
{
	struct fixture *f = *state;

	f->config.max_virtual_sessions = 0;
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(rmdir(in_folder(&f->folder, "sessions")), 0);
	session_list_adopt(&f->list, make("s", "alice", "VIRTUAL"));
	assert_non_null(session_list_find(&f->list, "s"));
	assert_int_equal(session_list_count(&f->list, "alice").n_owner, 1);
	assert_false(is_there(&f->folder, "sessions/s.json"));
}

static void a_list_that_is_opened_again_has_the_same_sessions(void **state)
{
	struct fixture *f = *state;
	struct session *s = add(f, "s1", "alice");
	struct error err;

	(void)add(f, "s2", "bob");
	assert_int_equal(session_list_apply(&f->list, s, SESSION_EVENT_READY, NULL, &err), 0);
	session_list_done(&f->list);
	open_list(f);
	s = session_list_find(&f->list, "s1");
	assert_non_null(s);
	assert_int_equal(s->state, SESSION_READY);
	assert_string_equal(s->owner, "alice");
	assert_int_equal(session_list_find(&f->list, "s2")->state, SESSION_CREATING);
	session_list_remove(&f->list, s);
	assert_false(is_there(&f->folder, "sessions/s1.json"));
	assert_true(is_there(&f->folder, "sessions/s2.json"));
}

static void only_the_agent_reads_records(void **state)
{
	struct fixture *f = *state;
	struct stat status;

	(void)add(f, "s1", "alice");
	assert_int_equal(stat(in_folder(&f->folder, "sessions/s1.json"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(stat(in_folder(&f->folder, "sessions"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
}

static void bad_records_are_left_out_and_left_alone(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_done) struct buf record = {0};
	struct error err;

	(void)add(f, "s1", "alice");
	session_list_done(&f->list);
	(void)put(&f->folder, "sessions/empty.json", "");
	(void)put(&f->folder, "sessions/half.json", "{\"Id\":\"ha");
	(void)put(&f->folder, "sessions/array.json", "[]");
	(void)put(&f->folder, "sessions/notes.txt", "{}");
	(void)put(&f->folder, "sessions/s1.json.new", "{}");
	/* the same record under other names: a session is never twice in the list */
	assert_int_equal(file_read(in_folder(&f->folder, "sessions/s1.json"), 4096, &record, &err),
			 0);
	(void)put(&f->folder, "sessions/s2.json", record.data);
	(void)put(&f->folder, "sessions/s.json", record.data);
	(void)put(&f->folder, "sessions/s1x.json", record.data);
	assert_int_equal(mkdir(in_folder(&f->folder, "sessions/folder.json"), 0700), 0);
	open_list(f);
	assert_int_equal(session_list_count(&f->list, "alice").n_virtual, 1);
	assert_non_null(session_list_find(&f->list, "s1"));
	assert_true(is_there(&f->folder, "sessions/half.json"));
}

static void a_full_disk_refuses_new_sessions_and_keeps_the_others(void **state)
{
	struct fixture *f = *state;
	const struct rlimit none = {0, RLIM_INFINITY};
	struct session *old = add(f, "old", "alice"), *late = make("new", "alice", "VIRTUAL");
	struct rlimit before;
	struct error err;

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	err = (struct error){0};
	assert_int_equal(session_list_add(&f->list, late, &err), -1);
	assert_memory_equal(err.message, "session record: ", 16);
	/* what happens to a session does not ask the disk */
	assert_int_equal(session_list_apply(&f->list, old, SESSION_EVENT_READY, NULL, &err), 0);
	assert_int_equal(old->state, SESSION_READY);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_null(session_list_find(&f->list, "new"));
	assert_false(is_there(&f->folder, "sessions/new.json"));
	assert_false(is_there(&f->folder, "sessions/new.json.new"));
	assert_true(is_there(&f->folder, "sessions/old.json"));
	assert_int_equal(session_list_add(&f->list, late, &err), 0);
}

static void somebody_acts_when_a_session_does_not_get_ready(void **state)
{
	struct fixture *f = *state;
	struct session *s;

	f->config.create_timeout = 1;
	s = add(f, "s1", "alice");
	session_list_note_start(&f->list, s);
	/* the margin is for the keeper, who watches the same time */
	assert_in_range(s->deadline_ms - loop_now_ms(&f->loop), 5000, 6001);
	s->deadline_ms = loop_now_ms(&f->loop) + 1;
	(void)add(f, "s2", "alice"); /* sets the timer anew */
	run_until(&f->loop, f->expired[0] != '\0');
	assert_string_equal(f->expired, "s1");
	/* nobody could do anything: it comes up again */
	assert_true(s->deadline_ms > loop_now_ms(&f->loop) + 4000);
}

static void what_a_creation_may_take_is_counted_from_its_start(void **state)
{
	struct fixture *f = *state;
	struct session *s;
	struct error err;

	f->config.queue_timeout = 1000;
	f->config.create_timeout = 100;
	s = add(f, "s1", "alice");
	assert_in_range(s->deadline_ms - loop_now_ms(&f->loop), 900000, 1005001);
	session_list_note_start(&f->list, s);
	assert_in_range(s->deadline_ms - loop_now_ms(&f->loop), 5000, 105001);
	/* one that was taken for ended, and is found, may wait still */
	assert_int_equal(session_list_apply(&f->list, s, SESSION_EVENT_ENDED, NULL, &err), 0);
	assert_int_equal(session_list_apply(&f->list, s, SESSION_EVENT_FOUND, NULL, &err), 0);
	assert_in_range(s->deadline_ms - loop_now_ms(&f->loop), 900000, 1005001);
}

static void every_state_but_the_final_ones_has_a_deadline(void **state)
{
	struct fixture *f = *state;
	struct session *s = add(f, "s1", "alice");
	struct error err;

	assert_true(s->deadline_ms > 0);
	assert_int_equal(session_list_apply(&f->list, s, SESSION_EVENT_READY, NULL, &err), 0);
	assert_int_equal(s->deadline_ms, 0);
	assert_int_equal(session_list_apply(&f->list, s, SESSION_EVENT_END, NULL, &err), 0);
	assert_true(s->deadline_ms > 0);
	assert_int_equal(session_list_apply(&f->list, s, SESSION_EVENT_ENDED, NULL, &err), 0);
	assert_int_equal(s->deadline_ms, 0);
}

static void of_an_owners_sessions_under_several_names_the_later_ones_are_too_many(void **state)
{
	struct fixture *f = *state;
	struct session *first, *second;
	struct error err;

	f->config.max_sessions_per_user = 1;
	first = add(f, "s1", "CORP\\alice");
	second = add(f, "s2", "alice@corp.example");
	session_set_account(second, "alice@corp.example");
	assert_int_equal(session_list_check_account(&f->list, second, &err), 0);
	session_set_account(first, "alice@corp.example");
	assert_int_equal(session_list_check_account(&f->list, first, &err), 0);
	assert_fails(session_list_check_account(&f->list, second, &err), ERR_LIMIT);
	assert_string_equal(err.message,
			    "user alice@corp.example has the allowed 1 sessions on this host");
	first->is_host_made = true; /* which limits do not count */
	assert_int_equal(session_list_check_account(&f->list, second, &err), 0);
	first->is_host_made = false;
	assert_int_equal(session_list_apply(&f->list, first, SESSION_EVENT_ENDED, NULL, &err), 0);
	assert_int_equal(session_list_check_account(&f->list, second, &err), 0);
}

static void ended_sessions_are_forgotten_after_a_while(void **state)
{
	struct fixture *f = *state;
	struct session *s = add(f, "s1", "alice");
	unsigned n_changed;
	struct error err;

	assert_int_equal(session_list_apply(&f->list, s, SESSION_EVENT_ENDED, "gone", &err), 0);
	assert_true(is_there(&f->folder, "sessions/s1.json"));
	n_changed = f->n_changed;
	s->end_time_ms = time_now_ms() - SESSION_LIST_KEEP_MS;
	(void)add(f, "s2", "alice");
	run_until(&f->loop, f->n_changed > n_changed + 1);
	assert_null(session_list_find(&f->list, "s1"));
	assert_false(is_there(&f->folder, "sessions/s1.json"));
	assert_non_null(session_list_find(&f->list, "s2"));
}

static void every_change_is_told(void **state)
{
	struct fixture *f = *state;
	struct session *s = add(f, "s1", "alice");
	struct error err;

	assert_int_equal(f->n_changed, 1);
	assert_int_equal(session_list_apply(&f->list, s, SESSION_EVENT_READY, NULL, &err), 0);
	assert_int_equal(f->n_changed, 2);
	session_list_remove(&f->list, s);
	assert_int_equal(f->n_changed, 3);
}

static void console_sessions_count_by_themselves(void **state)
{
	struct fixture *f = *state;

	f->config.max_virtual_sessions = 1;
	(void)add(f, "s1", "alice");
	session_list_adopt(&f->list, make("c", "alice", "CONSOLE"));
	assert_int_equal(session_list_count(&f->list, NULL).n_console, 1);
	assert_int_equal(session_list_count(&f->list, NULL).n_virtual, 1);
	assert_int_equal(session_list_count(&f->list, "alice").n_owner, 1);
}

static void a_console_session_is_one_and_alone(void **state)
{
	struct fixture *f = *state;
	struct error err;
	struct session *s = add(f, "s1", "alice");

	assert_string_equal(refusal_of(f, "c", "bob", "CONSOLE"),
			    "this host has virtual sessions, which no console session can be "
			    "beside");
	session_list_remove(&f->list, s);
	/* the limits are those of virtual sessions */
	f->config.max_virtual_sessions = 0;
	assert_int_equal(session_list_add(&f->list, make("c", "bob", "CONSOLE"), &err), 0);
	assert_string_equal(refusal_of(f, "c2", "alice", "CONSOLE"),
			    "this host has a console session");
	f->config.max_virtual_sessions = -1;
	assert_string_equal(refusal(f, "s2", "alice"), "this host has a console session");
	session_list_remove(&f->list, session_list_find(&f->list, "c"));
	(void)add(f, "s2", "alice");
}

static void a_folder_that_cannot_be_made_is_an_error(void **state)
{
	struct fixture *f = *state;
	const struct session_list_handler handler = {on_changed, on_expired, f};
	struct session_list other;
	struct error err;

	assert_fails(session_list_init(&other, &f->loop, &f->config,
				       put(&f->folder, "file", "no folder"), &handler, &err),
		     err.code);
	session_list_done(&other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_safe_as_names_of_files),
		TEST(sessions_of_others_do_not_exist),
		TEST(limits_hold_for_the_host_and_for_each_user),
		TEST(a_limit_of_zero_allows_none),
		TEST(what_lives_is_adopted_whatever_the_limits_and_the_disk),
		TEST(a_list_that_is_opened_again_has_the_same_sessions),
		TEST(only_the_agent_reads_records),
		TEST(bad_records_are_left_out_and_left_alone),
		TEST(a_full_disk_refuses_new_sessions_and_keeps_the_others),
		TEST(somebody_acts_when_a_session_does_not_get_ready),
		TEST(what_a_creation_may_take_is_counted_from_its_start),
		TEST(every_state_but_the_final_ones_has_a_deadline),
		TEST(of_an_owners_sessions_under_several_names_the_later_ones_are_too_many),
		TEST(ended_sessions_are_forgotten_after_a_while),
		TEST(every_change_is_told),
		TEST(console_sessions_count_by_themselves),
		TEST(a_console_session_is_one_and_alone),
		TEST(a_folder_that_cannot_be_made_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
