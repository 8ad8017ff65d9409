#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "agent/keeper/output.h"
#include "common/cleanup.h"
#include "common/text.h"

struct fixture {
	struct output output;
	FILE *log;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->log = tmpfile();
	f->output = (struct output){.source = "x", .fd = -1, .log_fd = fileno(f->log)};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	(void)fclose(f->log);
	free(f);
	return 0;
}

static size_t log_of(struct fixture *f, char *ret, size_t size)
{
	ssize_t n = pread(f->output.log_fd, ret, size - 1, 0);

	assert_true(n >= 0);
	ret[n] = '\0';
	return (size_t)n;
}

/* The lines without their times, which are checked here. */
static void assert_lines(struct fixture *f, const char *expected)
{
	char log[1024], lines[1024] = "", time[TIME_SIZE];
	long long ms;

	(void)log_of(f, log, sizeof(log));
	for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
		memcpy(time, line, TIME_SIZE - 1);
		time[TIME_SIZE - 1] = '\0';
		assert_true(time_parse(time, &ms));
		assert_int_equal(line[TIME_SIZE - 1], ' ');
		strcat(strcat(lines, line + TIME_SIZE), "\n");
	}
	assert_string_equal(lines, expected);
}

static void assert_tail(struct fixture *f, size_t n_max, const char *expected)
{
	char tail[OUTPUT_TAIL_LINES * (OUTPUT_TAIL_LINE_MAX_BYTES + 3)];

	output_tail(&f->output, n_max, tail, sizeof(tail));
	assert_string_equal(tail, expected);
}

static void add(struct fixture *f, const char *text)
{
	output_add(&f->output, text, strlen(text));
}

static void each_line_gets_its_prefix_however_it_arrives(void **state)
{
	struct fixture *f = *state;

	add(f, "on");
	add(f, "e\ntwo\n\nthr");
	assert_lines(f, "x: one\nx: two\nx: \n");
	output_done(&f->output); /* what has no end yet is a line, too */
	assert_lines(f, "x: one\nx: two\nx: \nx: thr\n");
	assert_tail(f, 1, "thr");
}

static void control_characters_do_not_reach_a_terminal(void **state)
{
	struct fixture *f = *state;

	add(f, "a\033[2Jb\rc\td\x7f\xc3\xa9\n");
	assert_lines(f, "x: a\\x1b[2Jb\\x0dc\td\\x7f\xc3\xa9\n");
}

static void long_lines_are_broken(void **state)
{
	struct fixture *f = *state;
	char log[8192];

	for (int i = 0; i < OUTPUT_LINE_MAX_BYTES + 1; i++)
		output_add(&f->output, "y", 1);
	output_done(&f->output);
	assert_int_equal(log_of(f, log, sizeof(log)),
			 OUTPUT_LINE_MAX_BYTES + 2 * TIME_SIZE + 4 + 5);
}

static void a_stream_has_its_share_and_one_note(void **state)
{
	AUTO(free_p) char *log = malloc(2 * OUTPUT_STREAM_MAX_BYTES);
	struct fixture *f = *state;
	size_t len;

	for (int i = 0; i < 100000; i++)
		add(f, "0123456789012345678901234567890123456789\n");
	len = log_of(f, log, 2 * OUTPUT_STREAM_MAX_BYTES);
	assert_true(len <= OUTPUT_STREAM_MAX_BYTES + 100);
	assert_true(len >= OUTPUT_STREAM_MAX_BYTES - 200);
	assert_non_null(strstr(log, " x: (too much output: the rest is dropped)\n"));
	add(f, "the end\n");
	assert_int_equal(log_of(f, log, 2 * OUTPUT_STREAM_MAX_BYTES), len);
	assert_tail(f, 1, "the end"); /* still of use for a reason */
}

/* Programs that are started again and again, for screenshots for instance, have a stream each time. */
static void a_log_has_an_end_however_many_streams_there_are(void **state)
{
	struct fixture *f = *state;
	char line[OUTPUT_LINE_MAX_BYTES + 1];
	struct stat st;

	memset(line, 'y', OUTPUT_LINE_MAX_BYTES);
	line[OUTPUT_LINE_MAX_BYTES] = '\n';
	for (int i = 0; i < 12; i++) {
		f->output = (struct output){.source = "x", .fd = -1, .log_fd = f->output.log_fd};
		for (int j = 0; j < OUTPUT_STREAM_MAX_BYTES / OUTPUT_LINE_MAX_BYTES; j++)
			output_add(&f->output, line, sizeof(line));
	}
	add(f, "the end\n");
	assert_int_equal(fstat(f->output.log_fd, &st), 0);
	assert_true(st.st_size >= OUTPUT_LOG_MOST_BYTES);
	assert_true(st.st_size <= OUTPUT_LOG_MOST_BYTES + 2 * OUTPUT_LINE_MAX_BYTES);
	assert_tail(f, 1, "the end");
}

static void the_tail_is_the_last_lines_with_something_in_them(void **state)
{
	struct fixture *f = *state;

	assert_tail(f, 3, "");
	add(f, "one\n\n");
	assert_tail(f, 3, "one");
	add(f, "two\nthree\nfour\n\nfi");
	assert_tail(f, 3, "three | four | fi");
	assert_tail(f, 1, "fi");
	for (int i = 0; i < OUTPUT_TAIL_LINE_MAX_BYTES; i++)
		add(f, "long");
	output_tail(&f->output, 1, (char[16]){""}, 16); /* cut, and no more than fits */
}

static void what_the_keeper_tells_is_a_line_of_its_own(void **state)
{
	struct fixture *f = *state;

	add(f, "half");
	output_tell(f->output.log_fd, "keeper", "two\nlines");
	output_tell(-1, "keeper", "lost");
	assert_lines(f, "keeper: two\\x0alines\n");
}

static void a_pipe_that_others_hold_open_is_left_behind(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	int write_fd;

	assert_int_equal(output_init(&f->output, "init", f->output.log_fd, &write_fd, &err), 0);
	assert_int_equal(write(write_fd, "hello\n", 6), 6);
	output_done(&f->output);
	assert_lines(f, "init: hello\n");
	assert_int_equal(f->output.fd, -1);
	(void)close(write_fd);
}

static void a_full_disk_is_no_error(void **state)
{
	struct fixture *f = *state;

	f->output.log_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(f->output.log_fd >= 0);
	add(f, "lost\n");
	assert_tail(f, 1, "lost");
	(void)close(f->output.log_fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_line_gets_its_prefix_however_it_arrives),
		TEST(control_characters_do_not_reach_a_terminal),
		TEST(long_lines_are_broken),
		TEST(a_stream_has_its_share_and_one_note),
		TEST(a_log_has_an_end_however_many_streams_there_are),
		TEST(the_tail_is_the_last_lines_with_something_in_them),
		TEST(what_the_keeper_tells_is_a_line_of_its_own),
		TEST(a_pipe_that_others_hold_open_is_left_behind),
		TEST(a_full_disk_is_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
