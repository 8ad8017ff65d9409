#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

#include "agent/keeper/output.h"
#include "common/cleanup.h"

struct fixture {
	struct output output;
	FILE *log;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->log = tmpfile();
	f->output = (struct output){.prefix = "x: ", .fd = -1, .log_fd = fileno(f->log)};
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

static void add(struct fixture *f, const char *text)
{
	output_add(&f->output, text, strlen(text));
}

static void each_line_gets_its_prefix_however_it_arrives(void **state)
{
	struct fixture *f = *state;
	char log[256];

	add(f, "on");
	add(f, "e\ntwo\n\nthr");
	(void)log_of(f, log, sizeof(log));
	assert_string_equal(log, "x: one\nx: two\nx: \n");
	output_done(&f->output); /* what has no end yet is a line, too */
	(void)log_of(f, log, sizeof(log));
	assert_string_equal(log, "x: one\nx: two\nx: \nx: thr\n");
	assert_string_equal(f->output.last_line, "thr");
}

static void control_characters_do_not_reach_a_terminal(void **state)
{
	struct fixture *f = *state;
	char log[256];

	add(f, "a\033[2Jb\rc\td\x7f\xc3\xa9\n");
	(void)log_of(f, log, sizeof(log));
	assert_string_equal(log, "x: a?[2Jb?c\td?\xc3\xa9\n");
}

static void long_lines_are_broken(void **state)
{
	struct fixture *f = *state;
	char log[8192];

	for (int i = 0; i < OUTPUT_LINE_MAX_BYTES + 1; i++)
		output_add(&f->output, "y", 1);
	output_done(&f->output);
	assert_int_equal(log_of(f, log, sizeof(log)), OUTPUT_LINE_MAX_BYTES + 4 + 5);
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
	assert_true(len >= OUTPUT_STREAM_MAX_BYTES - 100);
	assert_non_null(strstr(log, "\nx: (too much output: the rest is dropped)\n"));
	add(f, "the end\n");
	assert_int_equal(log_of(f, log, 2 * OUTPUT_STREAM_MAX_BYTES), len);
	assert_string_equal(f->output.last_line, "the end"); /* still of use for a reason */
}

static void a_pipe_that_others_hold_open_is_left_behind(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	char log[256];
	int write_fd;

	assert_int_equal(output_init(&f->output, "init: ", f->output.log_fd, &write_fd, &err), 0);
	assert_int_equal(write(write_fd, "hello\n", 6), 6);
	output_done(&f->output);
	(void)log_of(f, log, sizeof(log));
	assert_string_equal(log, "init: hello\n");
	assert_int_equal(f->output.fd, -1);
	(void)close(write_fd);
}

static void a_full_disk_is_no_error(void **state)
{
	struct fixture *f = *state;

	f->output.log_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(f->output.log_fd >= 0);
	add(f, "lost\n");
	assert_string_equal(f->output.last_line, "lost");
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
		TEST(a_pipe_that_others_hold_open_is_left_behind),
		TEST(a_full_disk_is_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
