#include "agent/session.h"

#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "tests/unit/unit.h"

static const struct create_session_request plain = {
	.name = "s", .owner = "alice", .type = "VIRTUAL"};

static struct session *make(enum session_state state)
{
	struct error err = {0};
	struct session *s = session_new("id", &plain, 1000, &err);

	assert_non_null(s);
	s->state = state;
	return s;
}

static void the_table_is_the_life_of_a_session(void **state)
{
	enum { NO = -1 };
	static const int expected[N_SESSION_STATES][N_SESSION_EVENTS] = {
		/*                   FOUND              READY              ENDED            END */
		[SESSION_CREATING] = {SESSION_CREATING, SESSION_READY, SESSION_DELETED,
				      SESSION_DELETING},
		[SESSION_READY] = {SESSION_READY, SESSION_READY, SESSION_DELETED, SESSION_DELETING},
		[SESSION_DELETING] = {SESSION_DELETING, SESSION_DELETING, SESSION_DELETED,
				      SESSION_DELETING},
		[SESSION_DELETED] = {SESSION_CREATING, NO, NO, NO},
	};

	(void)state;
	for (int from = 0; from < N_SESSION_STATES; from++) {
		for (int event = 0; event < N_SESSION_EVENTS; event++) {
			struct session *s = make((enum session_state)from);
			struct error err = {0};
			int result = session_apply(s, (enum session_event)event, "because", &err);

			if (expected[from][event] == NO) {
				assert_int_equal(result, -1);
				assert_int_equal(err.code, ERR_CONFLICT);
				assert_int_equal(s->state, from);
				assert_null(s->state_reason);
			} else {
				assert_int_equal(result, 0);
				assert_int_equal(s->state, expected[from][event]);
				assert_string_equal(s->state_reason, "because");
			}
			session_free(s);
		}
	}
}

static void a_refused_event_says_which_session_and_why(void **state)
{
	struct session *s = make(SESSION_DELETED);
	struct error err;

	(void)state;
	assert_fails(session_apply(s, SESSION_EVENT_READY, NULL, &err), ERR_CONFLICT);
	assert_string_equal(err.message, "session id is DELETED and cannot become ready");
	session_free(s);
}

static void the_first_reason_stays(void **state)
{
	struct session *s = make(SESSION_READY);
	struct error err;

	(void)state;
	assert_int_equal(session_apply(s, SESSION_EVENT_END, "first", &err), 0);
	assert_int_equal(session_apply(s, SESSION_EVENT_ENDED, "second", &err), 0);
	assert_string_equal(s->state_reason, "first");
	assert_true(s->end_time_ms > 0);
	session_free(s);
}

static void a_session_that_is_found_alive_forgets_its_end(void **state)
{
	struct session *s = make(SESSION_READY);
	struct error err;

	(void)state;
	s->failure = ERR_DENIED;
	assert_int_equal(session_apply(s, SESSION_EVENT_ENDED, "killed", &err), 0);
	s->idle.empty_since_ms = 5;
	assert_int_equal(session_apply(s, SESSION_EVENT_FOUND, NULL, &err), 0);
	assert_int_equal(s->idle.empty_since_ms, 0);
	assert_null(s->state_reason);
	assert_int_equal(s->failure, ERR_NONE);
	assert_int_equal(s->end_time_ms, 0);
	assert_string_equal(s->name, "s");
	session_free(s);
}

static void what_ran_has_ended_with_the_session(void **state)
{
	struct session *s = make(SESSION_READY);
	struct error err;

	(void)state;
	session_set_status(&s->init_status, SESSION_STATUS_RUNNING);
	session_set_status(&s->autorun_status, "exit status 4");
	assert_int_equal(session_apply(s, SESSION_EVENT_END, NULL, &err), 0);
	assert_string_equal(s->init_status, SESSION_STATUS_RUNNING);
	assert_int_equal(session_apply(s, SESSION_EVENT_ENDED, NULL, &err), 0);
	assert_string_equal(s->init_status, "ended with the session");
	assert_string_equal(s->autorun_status, "exit status 4");
	assert_int_equal(session_apply(s, SESSION_EVENT_FOUND, NULL, &err), 0);
	assert_null(s->init_status);
	assert_null(s->autorun_status);
	session_free(s);
}

static void only_what_was_never_ready_could_not_be_created(void **state)
{
	static const struct {
		enum session_event events[3];
		size_t n;
		enum error_code expected;
	} cases[] = {
		{{SESSION_EVENT_FOUND}, 1, ERR_NOT_FOUND},
		{{SESSION_EVENT_END}, 1, ERR_NOT_FOUND}, /* the keeper says "ending" before */
		{{SESSION_EVENT_READY}, 1, ERR_NONE},
		{{SESSION_EVENT_READY, SESSION_EVENT_END}, 2, ERR_NONE},
		{{SESSION_EVENT_END, SESSION_EVENT_READY}, 2, ERR_NONE},
		{{SESSION_EVENT_ENDED}, 1, ERR_NONE}, /* too late */
		{{SESSION_EVENT_READY, SESSION_EVENT_ENDED, SESSION_EVENT_FOUND},
		 3,
		 ERR_NOT_FOUND}, /* it began anew */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct session *s = make(SESSION_CREATING);
		struct error err;

		for (size_t n = 0; n < cases[i].n; n++)
			assert_int_equal(session_apply(s, cases[i].events[n], NULL, &err), 0);
		session_set_failure(s, ERR_NOT_FOUND);
		assert_int_equal(s->failure, cases[i].expected);
		session_free(s);
	}
}

static void the_api_does_not_show_whose_fault_an_end_was(void **state)
{
	struct session *s = make(SESSION_CREATING);
	json_auto_t *shown = NULL;
	struct error err;

	(void)state;
	session_set_failure(s, ERR_NOT_FOUND);
	assert_int_equal(session_apply(s, SESSION_EVENT_ENDED, "why", &err), 0);
	shown = session_to_json(s);
	assert_string_equal(json_get_text(shown, "StateReason"), "why");
	assert_null(json_object_get(shown, "FailureCode"));
	assert_null(json_object_get(shown, "WasReady"));
	session_free(s);
}

static void the_api_shows_what_is_known_and_nothing_empty(void **state)
{
	struct session *s = make(SESSION_CREATING);
	json_t *shown = session_to_json(s);

	(void)state;
	assert_string_equal(json_get_text(shown, "Substate"), "PENDING_PREPARATION");
	assert_string_equal(json_get_text(shown, "CreationTime"), "1970-01-01T00:00:01.000Z");
	assert_string_equal(json_get_text(shown, "Type"), "VIRTUAL");
	assert_int_equal(json_integer_value(json_object_get(shown, "NumOfConnections")), 0);
	assert_null(json_object_get(shown, "StateReason"));
	assert_null(json_object_get(shown, "StorageRoot"));
	assert_null(json_object_get(shown, "MaxConcurrentClients"));
	json_decref(shown);
	s->state = SESSION_READY;
	shown = session_to_json(s);
	assert_null(json_object_get(shown, "Substate"));
	json_decref(shown);
	session_free(s);
}

static void the_older_name_of_the_init_file_counts_only_without_the_newer(void **state)
{
	struct create_session_request r = plain;
	struct error err;
	struct session *s;

	(void)state;
	r.init_file_path = "old.sh";
	s = session_new("id", &r, 0, &err);
	assert_string_equal(s->init_file, "old.sh");
	session_free(s);
	r.init_file = "new.sh";
	s = session_new("id", &r, 0, &err);
	assert_string_equal(s->init_file, "new.sh");
	session_free(s);
}

static void everything_survives_in_the_record(void **state)
{
	json_auto_t *arguments = json_pack("[s,s]", "--model", "wing v2");
	const struct create_session_request r = {
		.name = "a \"name\"\n$(x) \u202e",
		.owner = "DOMAIN\\alice",
		.type = "CONSOLE",
		.init_file = "init.sh",
		.autorun_file = "run.sh",
		.autorun_file_arguments = arguments,
		.permissions_file = "W10=",
		.storage_root = "%home%/x",
		.max_concurrent_clients = 7,
	};
	struct error err = {0};
	struct session *s = session_new("id-1", &r, 1772438411042, &err), *again;
	json_auto_t *record = NULL, *second = NULL;

	(void)state;
	s->state = SESSION_DELETED;
	s->state_reason = strdup("why");
	s->end_time_ms = 1772438411999;
	s->failure = ERR_NOT_FOUND;
	s->was_ready = true;
	s->attempt = 3;
	session_set_account(s, "alice@corp.example");
	s->disconnection_time_ms = 1772438411500;
	idle_state_look(&s->idle, 77, 0, s->disconnection_time_ms);
	record = session_to_record(s);
	again = session_from_record(record, &err);
	assert_non_null(again);
	second = session_to_record(again);
	assert_true(json_equal(record, second));
	assert_string_equal(again->name, r.name);
	assert_string_equal(again->owner, r.owner);
	assert_string_equal(again->type, "CONSOLE");
	assert_true(json_equal(again->autorun_arguments, arguments));
	assert_int_equal(again->creation_time_ms, 1772438411042);
	assert_int_equal(again->end_time_ms, 1772438411999);
	assert_int_equal(again->max_concurrent_clients, 7);
	assert_int_equal(again->attempt, 3);
	assert_int_equal(again->disconnection_time_ms, 1772438411500);
	assert_int_equal(again->idle.empty_since_ms, 77);
	assert_int_equal(again->failure, ERR_NOT_FOUND);
	assert_true(again->was_ready);
	assert_string_equal(again->account, "alice@corp.example");
	session_free(s);
	session_free(again);
}

static void an_owner_has_the_name_that_was_asked_for_and_the_accounts(void **state)
{
	const struct create_session_request r = {
		.name = "n", .owner = "CORP\\alice", .type = "VIRTUAL"};
	struct error err = {0};
	struct session *s = session_new("id-1", &r, 0, &err);

	(void)state;
	assert_true(session_is_of(s, "CORP\\alice"));
	assert_false(session_is_of(s, "alice"));
	session_set_account(s, NULL);
	assert_null(s->account);
	session_set_account(s, "alice");
	assert_true(session_is_of(s, "CORP\\alice"));
	assert_true(session_is_of(s, "alice"));
	assert_false(session_is_of(s, "alic"));
	assert_string_equal(s->owner, "CORP\\alice");
	session_free(s);
}

#define RECORD(member)                                                                             \
	"{\"Id\":\"i\",\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"VIRTUAL\","                       \
	"\"CreationTime\":\"2026-03-02T08:00:11.042Z\"," member "}"

static void a_record_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"null",
		"7",
		RECORD("\"State\":\"UNKNOWN\""),
		RECORD("\"State\":7"),
		RECORD("\"State\":\"READY\",\"AutorunFileArguments\":[\"a\",1]"),
		RECORD("\"State\":\"READY\",\"AutorunFileArguments\":\"a\""),
		RECORD("\"State\":\"DELETED\",\"EndTimeMs\":-1"),
		RECORD("\"State\":\"DELETED\",\"EndTimeMs\":9223372036854775807"),
		"{\"Id\":\"i\",\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"VIRTUAL\",\"State\":"
		"\"READY\",\"CreationTime\":\"yesterday\"}",
		"{\"Id\":7,\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"VIRTUAL\",\"State\":\"READY\","
		"\"CreationTime\":\"2026-03-02T08:00:11.042Z\"}",
	};
	struct error err = {0};
	json_auto_t *good = NULL;
	struct session *s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_auto_t *record = json_loads(bad[i], JSON_DECODE_ANY, NULL);

		assert_non_null(record);
		err = (struct error){0};
		assert_null(session_from_record(record, &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
	good = json_loads(RECORD("\"State\":\"READY\""), 0, NULL);
	s = session_from_record(good, &err);
	assert_non_null(s);
	session_free(s);
}

/* Of an agent that did not write who was to blame, and of one that knows more codes than we do. */
static void a_record_of_another_release_is_taken(void **state)
{
	static const struct {
		const char *text;
		bool was_ready;
	} cases[] = {
		{RECORD("\"State\":\"READY\""), true},
		{RECORD("\"State\":\"DELETED\""), false},
		{RECORD("\"State\":\"DELETED\",\"FailureCode\":\"NEW\",\"WasReady\":7"), false},
		{RECORD("\"State\":\"DELETED\",\"FailureCode\":7"), false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_auto_t *record = json_loads(cases[i].text, 0, NULL);
		struct error err;
		struct session *s = session_from_record(record, &err);

		assert_non_null(s);
		assert_int_equal(s->failure, ERR_NONE);
		assert_int_equal(s->was_ready, cases[i].was_ready);
		session_free(s);
	}
}

static void nothing_is_freed_in_vain(void **state)
{
	(void)state;
	session_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_the_life_of_a_session),
		cmocka_unit_test(a_refused_event_says_which_session_and_why),
		cmocka_unit_test(the_first_reason_stays),
		cmocka_unit_test(a_session_that_is_found_alive_forgets_its_end),
		cmocka_unit_test(what_ran_has_ended_with_the_session),
		cmocka_unit_test(only_what_was_never_ready_could_not_be_created),
		cmocka_unit_test(the_api_does_not_show_whose_fault_an_end_was),
		cmocka_unit_test(the_api_shows_what_is_known_and_nothing_empty),
		cmocka_unit_test(the_older_name_of_the_init_file_counts_only_without_the_newer),
		cmocka_unit_test(everything_survives_in_the_record),
		cmocka_unit_test(an_owner_has_the_name_that_was_asked_for_and_the_accounts),
		cmocka_unit_test(a_record_that_is_none_is_refused),
		cmocka_unit_test(a_record_of_another_release_is_taken),
		cmocka_unit_test(nothing_is_freed_in_vain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
