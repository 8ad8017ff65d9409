#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "ctl/print.h"
#include "ctl/visible.h"

static void print(enum operation_id id, const char *answer, struct buf *out)
{
	json_auto_t *value = NULL;
	struct error err = {0};

	assert_int_equal(json_parse(answer, strlen(answer), &value, &err), 0);
	assert_int_equal(print_answer(&operations[id], value, out, &err), 0);
}

static void assert_printed(enum operation_id id, const char *answer, const char *expected)
{
	AUTO(buf_done) struct buf out = {0};

	print(id, answer, &out);
	assert_string_equal(out.data ? out.data : "", expected);
}

static void what_an_answer_lacks_is_a_dash(void **state)
{
	(void)state;
	assert_printed(OPERATION_describe_sessions, "{\"Sessions\":[{},3,null]}",
		       "ID  NAME  OWNER  TYPE  STATE  SERVER  CONNECTIONS  CREATED (UTC)\n"
		       "-   -     -      -     -      -       -            -\n"
		       "-   -     -      -     -      -       -            -\n"
		       "-   -     -      -     -      -       -            -\n");
	assert_printed(OPERATION_get_session_connection_data, "{\"Session\":{}}",
		       "Session -\nName    -\nState   -\nToken   -\nBrowser -\nClient  -\n");
	assert_printed(OPERATION_open_servers, "{\"SuccessfulList\":[{}]}", "server - is open\n");
	assert_printed(OPERATION_get_session_screenshots,
		       "{\"SuccessfulList\":[{\"SessionScreenshot\":{\"Images\":[1]}}]}",
		       "SESSION  IMAGE  FORMAT  PRIMARY  BYTES  CREATED (UTC)\n"
		       "-        1      -       no       0      -\n");
}

static void values_of_another_type_do_no_harm(void **state)
{
	(void)state;
	assert_printed(
		OPERATION_describe_servers,
		"{\"Servers\":[{\"Id\":7,\"Ip\":[],\"ConsoleSessionCount\":9223372036854775807,"
		"\"VirtualSessionCount\":9223372036854775807,"
		"\"Host\":{\"CpuLoadAverage\":{\"OneMinute\":\"high\"}}}]}",
		"ID  HOSTNAME  IP  AVAILABILITY  REASON  SESSIONS              VERSION  LOAD\n"
		"-   -         -   -             -       18446744073709551616  -        -\n");
}

/* "%.2f" of the largest number has more than 300 digits. */
static void an_endless_number_is_cut(void **state)
{
	AUTO(buf_done) struct buf out = {0};

	(void)state;
	print(OPERATION_describe_servers,
	      "{\"Servers\":[{\"Host\":{\"CpuLoadAverage\":{\"OneMinute\":1e308}}}]}", &out);
	assert_true(out.len < 300);
}

static void without_its_list_an_answer_is_refused(void **state)
{
	json_auto_t *empty = json_object();

	(void)state;
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		AUTO(buf_done) struct buf out = {0};
		struct error err = {0};

		assert_int_equal(print_answer(&operations[i], empty, &out, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void a_failure_names_what_was_asked_for(void **state)
{
	static const struct {
		enum operation_id id;
		const char *failure, *expected;
	} cases[] = {
		{OPERATION_create_sessions,
		 "{\"CreateSessionRequestData\":{\"Name\":\"n\"},\"FailureReason\":\"full\"}",
		 "session n: full"},
		{OPERATION_delete_sessions, "{\"SessionId\":\"1\",\"FailureReason\":\"gone\"}",
		 "session 1: gone"},
		{OPERATION_close_servers,
		 "{\"CloseServerRequestData\":{\"ServerId\":\"s\"},\"FailureCode\":\"C\"}",
		 "server s: no reason given (C)"},
		{OPERATION_open_servers, "3", "server -: no reason given"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf_done) struct buf out = {0};
		json_auto_t *failure = NULL;
		struct error err = {0};

		assert_int_equal(
			json_parse(cases[i].failure, strlen(cases[i].failure), &failure, &err), 0);
		assert_int_equal(print_failure(&operations[cases[i].id], failure, &out, &err), 0);
		assert_string_equal(out.data, cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_answer_lacks_is_a_dash),
		cmocka_unit_test(values_of_another_type_do_no_harm),
		cmocka_unit_test(an_endless_number_is_cut),
		cmocka_unit_test(without_its_list_an_answer_is_refused),
		cmocka_unit_test(a_failure_names_what_was_asked_for),
	};

	visible_use_utf8();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
