#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "agent/session-log.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "tests/unit/agent/fixture.h"

#define T(s) "2026-03-02T08:00:" s "Z "

static int set_up(void **state)
{
	static struct folder folder;

	folder_make(&folder);
	*state = &folder;
	return 0;
}

static int tear_down(void **state)
{
	folder_remove(*state);
	return 0;
}

/* The lines of a merge as "TIME SOURCE: text;", the time's last digits only. */
static const char *merged(const struct folder *folder, const char *own, const char *file)
{
	static char text[8192];
	AUTO(buf_done) struct buf answer = {0};
	json_auto_t *object = NULL;
	char path[256];
	struct error err = {0};
	size_t i;
	json_t *line;

	(void)snprintf(path, sizeof(path), "%s/s1.log", folder->path);
	if (file)
		assert_int_equal(file_write_volatile(path, file, strlen(file), 0600, &err), 0);
	assert_int_equal(session_log_merge("s1", own, path, &answer, &err), 0);
	assert_int_equal(json_parse(answer.data, answer.len, &object, &err), 0);
	assert_string_equal(json_get_text(object, "SessionId"), "s1");
	text[0] = '\0';
	json_array_foreach(json_object_get(object, "Lines"), i, line)
	{
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof(text) - len, "%s %s: %s;",
			       json_get_text(line, "Time") + strlen("2026-03-02T08:00:"),
			       json_get_text(line, "Source"), json_get_text(line, "Text"));
	}
	return text;
}

static void lines_of_both_are_in_the_order_of_time(void **state)
{
	assert_string_equal(
		merged(*state,
		       T("01.000") "api: a\n" T("03.000") "agent: d\n" T("05.000") "agent: f\n",
		       T("02.000") "keeper: b\n" T("02.000") "x: c\n" T("04.000") "init: e: e\n"),
		"01.000Z api: a;02.000Z keeper: b;02.000Z x: c;03.000Z agent: d;"
		"04.000Z init: e: e;05.000Z agent: f;");
}

static void in_one_moment_a_request_is_first_and_what_became_of_it_last(void **state)
{
	assert_string_equal(merged(*state, T("01.000") "api: a\n" T("01.000") "agent: c\n",
				   T("01.000") "keeper: b\n"),
			    "01.000Z api: a;01.000Z keeper: b;01.000Z agent: c;");
}

static void one_of_the_two_may_be_missing(void **state)
{
	assert_string_equal(merged(*state, "", NULL), "");
	assert_string_equal(merged(*state, T("01.000") "api: a\n", NULL), "01.000Z api: a;");
	assert_string_equal(merged(*state, "", T("02.000") "x: b\n"), "02.000Z x: b;");
}

static void what_is_no_line_is_passed_over_and_bytes_are_made_text(void **state)
{
	assert_string_equal(
		merged(*state, "",
		       "\n \n: \nnot a time x: y\n" T("02.000") "\n" T(
			       "02.000") "x: a\xff\x1b"
					 "b\n" T("03.000") "x: \n" T("04.000") "x: half"),
		"02.000Z x: a??b;03.000Z x: ;04.000Z x: half;");
}

static void of_a_large_file_the_end_is_shown(void **state)
{
	size_t size = SESSION_LOG_FILE_MAX_BYTES + 100;
	AUTO(free_p) char *file = malloc(size + 200);
	const char *text;

	memset(file, 'x', size);
	strcpy(file + size, "\n" T("01.000") "init: a\n" T("02.000") "init: b\n");
	text = merged(*state, T("01.500") "agent: c\n", file);
	assert_memory_equal(text, "01.000Z agent: earlier lines are in ", 36);
	assert_non_null(strstr(text, "only;01.000Z init: a;01.500Z agent: c;02.000Z init: b;"));
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
	const struct folder *folder = *state;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/s1.log", folder->path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_non_null(strstr(merged(folder, T("01.000") "api: a\n", NULL), " agent: open "));
}

static void what_is_told_is_bounded_and_one_line_each(void **state)
{
	struct session session = {0};
	const char *line;

	(void)state;
	session_log_add(&session, "api", "first");
	session_log_add(&session, "api", "second\nline \x1b[2J");
	for (int i = 0; i < SESSION_LOG_LINES_MAX + 10; i++)
		session_log_add(&session, "agent", "number %d", i);
	assert_int_equal(json_array_size(session.log), SESSION_LOG_LINES_MAX);
	line = json_string_value(json_array_get(session.log, 0));
	assert_string_equal(line + strlen(T("01.000")), "api: first");
	line = json_string_value(json_array_get(session.log, 1));
	assert_string_equal(line + strlen(T("01.000")), "api: second\\x0aline \\x1b[2J");
	line = json_string_value(json_array_get(session.log, 2));
	assert_string_equal(line + strlen(T("01.000")), "agent: number 12");
	json_decref(session.log);
}

struct asked {
	struct answer answer; /* first */
	enum error_code code;
	bool is_answered;
};

static void give(struct answer *answer, struct buf *text, const struct error *err)
{
	struct asked *asked = (struct asked *)(void *)answer;

	asked->code = err ? err->code : ERR_NONE;
	asked->is_answered = true;
	if (text)
		buf_done(text);
}

static void one_log_at_a_time_is_read_for_a_reader(void **state)
{
	const struct folder *folder = *state;
	static struct loop loop;
	struct session_log_desk desk = {.folder = folder->path, .loop = &loop};
	struct session session = {.id = (char *)"s1"};
	struct asked first = {{give}, 0, 0}, second = first, other = first, root = first;
	struct error err;

	assert_int_equal(loop_init(&loop, &err), 0);
	list_init(&desk.readings);
	session_log_answer(&desk, &session, "mira", &first.answer);
	session_log_answer(&desk, &session, "mira", &second.answer);
	session_log_answer(&desk, &session, "noor", &other.answer);
	session_log_answer(&desk, &session, NULL, &root.answer);
	session_log_answer(&desk, &session, NULL, &root.answer);
	assert_true(second.is_answered && second.code == ERR_LIMIT);
	run_until(&loop, first.is_answered && other.is_answered && root.is_answered);
	assert_int_equal(first.code, ERR_NONE);
	assert_int_equal(other.code, ERR_NONE);
	second.is_answered = false;
	session_log_answer(&desk, &session, "mira", &second.answer);
	run_until(&loop, second.is_answered);
	assert_int_equal(second.code, ERR_NONE);
	loop_done(&loop);
	assert_true(list_is_empty(&desk.readings));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_of_both_are_in_the_order_of_time),
		TEST(in_one_moment_a_request_is_first_and_what_became_of_it_last),
		TEST(one_of_the_two_may_be_missing),
		TEST(what_is_no_line_is_passed_over_and_bytes_are_made_text),
		TEST(of_a_large_file_the_end_is_shown),
		TEST(a_file_that_cannot_be_read_is_told),
		TEST(one_log_at_a_time_is_read_for_a_reader),
		TEST(what_is_told_is_bounded_and_one_line_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
