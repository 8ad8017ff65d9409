#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log-file.h"
#include "tests/unit/unit.h"

#define DAY 86400

struct fixture {
	char folder[64];
	struct log_file file;
	time_t now;
};

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){.file = LOG_FILE_NONE, .now = time(NULL)};
	(void)snprintf(f.folder, sizeof(f.folder), "/tmp/test-log-file-XXXXXX");
	if (!mkdtemp(f.folder))
		return -1;
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	log_file_close(&f->file);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
	return system(command) == 0 ? 0 : -1;
}

static const char *path_of(const struct fixture *f, const char *name)
{
	static char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	return path;
}

/* What a file has, "" if it is not there; good until the next call. */
static const char *text_of(const struct fixture *f, const char *name)
{
	static struct buf text;
	struct error err;

	buf_done(&text);
	return file_read(path_of(f, name), 1 << 20, &text, &err) < 0 || !text.data ? "" : text.data;
}

static void open_log(struct fixture *f, const struct log_rotation *rotation)
{
	struct error err;

	assert_int_equal(log_file_open(&f->file, f->folder, "x.log", rotation, &err), 0);
}

static void write_line(struct fixture *f, const char *line)
{
	log_file_write(&f->file, f->now, line, strlen(line));
}

static void date_back(const struct fixture *f, const char *name, time_t seconds)
{
	const struct timespec times[2] = {{.tv_sec = f->now - seconds},
					  {.tv_sec = f->now - seconds}};

	assert_int_equal(utimensat(AT_FDCWD, path_of(f, name), times, 0), 0);
}

static const struct log_rotation daily = {.max_bytes = 1000, .n_kept = 2};
static const struct log_rotation hourly = {.is_hourly = true, .max_bytes = 1000, .n_kept = 2};
static const struct log_rotation tiny = {.max_bytes = 10, .n_kept = 2};

static void a_line_that_would_make_the_file_too_large_begins_a_new_one(void **state)
{
	struct fixture *f = *state;

	open_log(f, &tiny);
	write_line(f, "1234\n");
	write_line(f, "5678\n");
	assert_string_equal(text_of(f, "x.log"), "1234\n5678\n");
	write_line(f, "9\n");
	assert_string_equal(text_of(f, "x.log"), "9\n");
	assert_string_equal(text_of(f, "x.log.1"), "1234\n5678\n");
}

static void one_line_that_is_larger_than_a_file_is_written_whole(void **state)
{
	struct fixture *f = *state;

	open_log(f, &tiny);
	write_line(f, "0123456789abcdef\n");
	assert_string_equal(text_of(f, "x.log"), "0123456789abcdef\n");
	assert_string_equal(text_of(f, "x.log.1"), "");
}

static void the_newest_of_the_older_files_is_number_1_and_the_oldest_goes(void **state)
{
	struct fixture *f = *state;

	open_log(f, &tiny);
	write_line(f, "first\n...\n");
	write_line(f, "second\n..\n");
	write_line(f, "third\n...\n");
	write_line(f, "fourth\n..\n");
	assert_string_equal(text_of(f, "x.log"), "fourth\n..\n");
	assert_string_equal(text_of(f, "x.log.1"), "third\n...\n");
	assert_string_equal(text_of(f, "x.log.2"), "second\n..\n");
	assert_int_equal(access(path_of(f, "x.log.3"), F_OK), -1);
}

static void a_line_of_the_next_day_begins_a_new_file(void **state)
{
	struct fixture *f = *state;

	open_log(f, &daily);
	write_line(f, "today\n");
	f->now += DAY;
	write_line(f, "tomorrow\n");
	assert_string_equal(text_of(f, "x.log"), "tomorrow\n");
	assert_string_equal(text_of(f, "x.log.1"), "today\n");
	write_line(f, "tomorrow, too\n");
	assert_string_equal(text_of(f, "x.log"), "tomorrow\ntomorrow, too\n");
}

static void the_next_hour_counts_only_where_files_are_of_an_hour(void **state)
{
	struct fixture *f = *state;

	f->now = f->now - f->now % DAY + DAY; /* the beginning of a day */
	open_log(f, &daily);
	write_line(f, "a\n");
	f->now += 3600;
	write_line(f, "b\n");
	assert_string_equal(text_of(f, "x.log"), "a\nb\n");
	open_log(f, &hourly);
	f->now += 3600 * 24;
	write_line(f, "c\n");
	f->now += 3600;
	write_line(f, "d\n");
	assert_string_equal(text_of(f, "x.log"), "d\n");
	assert_string_equal(text_of(f, "x.log.1"), "c\n");
	assert_string_equal(text_of(f, "x.log.2"), "a\nb\n");
}

static void a_file_of_yesterday_is_rotated_after_a_restart_and_one_of_today_is_not(void **state)
{
	struct fixture *f = *state;

	open_log(f, &daily);
	write_line(f, "before\n");
	open_log(f, &daily);
	write_line(f, "the same day\n");
	assert_string_equal(text_of(f, "x.log"), "before\nthe same day\n");
	date_back(f, "x.log", DAY);
	open_log(f, &daily);
	write_line(f, "after\n");
	assert_string_equal(text_of(f, "x.log"), "after\n");
	assert_string_equal(text_of(f, "x.log.1"), "before\nthe same day\n");
}

static void files_beyond_those_that_are_kept_are_removed_at_the_start(void **state)
{
	const struct log_rotation many = {.max_bytes = 4, .n_kept = 5};
	struct fixture *f = *state;

	open_log(f, &many);
	for (int i = 0; i < 6; i++)
		write_line(f, "x..\n");
	assert_int_equal(access(path_of(f, "x.log.5"), F_OK), 0);
	open_log(f, &tiny);
	assert_int_equal(access(path_of(f, "x.log.2"), F_OK), 0);
	for (int i = 3; i <= 5; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "x.log.%d", i);
		assert_int_equal(access(path_of(f, name), F_OK), -1);
	}
}

static void a_file_that_cannot_be_moved_grows_on_and_is_moved_a_minute_later(void **state)
{
	struct fixture *f = *state;

	open_log(f, &tiny);
	write_line(f, "1234567\n");
	/* Neither goes anywhere. */
	assert_int_equal(mkdir(path_of(f, "x.log.1"), 0700), 0);
	assert_int_equal(mkdir(path_of(f, "x.log.2"), 0700), 0);
	assert_int_equal(mkdir(path_of(f, "x.log.2/full"), 0700), 0);
	write_line(f, "8\n");
	write_line(f, "9\n");
	assert_string_equal(text_of(f, "x.log"), "1234567\n8\n9\n");
	assert_int_equal(rmdir(path_of(f, "x.log.1")), 0);
	f->now += 60;
	write_line(f, "10\n");
	assert_string_equal(text_of(f, "x.log"), "10\n");
	assert_int_equal(f->file.n_dropped, 0);
}

/* The limit of a file's size stands for the end of the disk: both take the first part of a line. */
static void no_half_line_is_left_by_a_disk_that_fills_up(void **state)
{
	const struct rlimit small = {.rlim_cur = 12, .rlim_max = RLIM_INFINITY};
	const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	struct fixture *f = *state;

	open_log(f, &daily);
	(void)signal(SIGXFSZ, SIG_IGN);
	write_line(f, "1234567\n");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	write_line(f, "is cut\n");
	write_line(f, "2\n");
	write_line(f, "has no place\n");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	write_line(f, "3\n");
	assert_string_equal(text_of(f, "x.log"), "1234567\n2\n3\n");
	assert_int_equal(f->file.n_dropped, 2);
	assert_int_equal(f->file.n_untold, 2);
	assert_true(log_file_try(&f->file, f->now, "4\n", 2));
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(a_line_that_would_make_the_file_too_large_begins_a_new_one),
		WITH_FOLDER(one_line_that_is_larger_than_a_file_is_written_whole),
		WITH_FOLDER(the_newest_of_the_older_files_is_number_1_and_the_oldest_goes),
		WITH_FOLDER(a_line_of_the_next_day_begins_a_new_file),
		WITH_FOLDER(the_next_hour_counts_only_where_files_are_of_an_hour),
		WITH_FOLDER(a_file_of_yesterday_is_rotated_after_a_restart_and_one_of_today_is_not),
		WITH_FOLDER(files_beyond_those_that_are_kept_are_removed_at_the_start),
		WITH_FOLDER(a_file_that_cannot_be_moved_grows_on_and_is_moved_a_minute_later),
		WITH_FOLDER(no_half_line_is_left_by_a_disk_that_fills_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
