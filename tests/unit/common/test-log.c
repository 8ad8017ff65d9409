#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "tests/unit/unit.h"

static const struct log_rotation rotation = {.max_bytes = 1 << 20, .n_kept = 3};

struct fixture {
	char folder[64];
	char path[128];
	int stderr_fd; /* the real one */
};

static int set_up(void **state)
{
	static struct fixture f;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)snprintf(f.folder, sizeof(f.folder), "/tmp/test-log-XXXXXX");
	if (!mkdtemp(f.folder) || null < 0)
		return -1;
	(void)snprintf(f.path, sizeof(f.path), "%s/test.log", f.folder);
	f.stderr_fd = dup(STDERR_FILENO);
	(void)dup2(null, STDERR_FILENO);
	(void)close(null);
	log_set_level(LOG_LEVEL_INFO);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	log_close();
	(void)dup2(f->stderr_fd, STDERR_FILENO);
	(void)close(f->stderr_fd);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
	return system(command) == 0 ? 0 : -1;
}

/* The file's text so far; good until the next call. */
static const char *logged(const char *path)
{
	static struct buf text;
	struct error err;

	buf_done(&text);
	if (file_read(path, 1 << 20, &text, &err) < 0)
		fail_msg("%s", err.message);
	return text.data;
}

static void listen(enum log_level level, const char *text, void *userdata)
{
	char *heard = userdata;

	(void)snprintf(heard + strlen(heard), 256 - strlen(heard), "%d:%s;", level, text);
}

static void a_listener_is_told_what_is_logged(void **state)
{
	char heard[256] = "";

	(void)state;
	log_set_listener(listen, heard);
	log_info("one\ntwo");
	log_debug("not logged");
	log_warning("three");
	log_set_listener(NULL, NULL);
	log_info("four");
	assert_string_equal(heard, "2:one\\x0atwo;1:three;");
}

static void lines_have_time_level_and_text(void **state)
{
	struct fixture *f = *state;
	struct error err;
	const char *text;

	assert_int_equal(log_open_file(f->folder, "test.log", &rotation, &err), 0);
	log_info("session %s closed (clients=%d)", "s1", 0);
	text = logged(f->path);
	assert_int_equal(strspn(text, "0123456789-"), 10);
	assert_int_equal(text[10], ' ');
	assert_int_equal(strspn(text + 11, "0123456789:,"), 12);
	assert_string_equal(text + 23, " info    session s1 closed (clients=0)\n");
}

static void only_the_chosen_levels_are_written(void **state)
{
	struct fixture *f = *state;
	enum log_level level = LOG_LEVEL_INFO;
	struct error err;

	assert_int_equal(log_open_file(f->folder, "test.log", &rotation, &err), 0);
	assert_true(log_level_from_name("warning", &level));
	log_set_level(level);
	log_info("quiet");
	log_warning("heard");
	log_error("loud");
	assert_null(strstr(logged(f->path), "quiet"));
	assert_non_null(strstr(logged(f->path), "warning heard\n"));
	assert_non_null(strstr(logged(f->path), "error   loud\n"));
	assert_false(log_level_from_name("Warning", &level));
	assert_false(log_level_from_name("", &level));
	assert_int_equal(level, LOG_LEVEL_WARNING);
}

static void what_a_peer_sends_cannot_forge_a_line_or_turn_it(void **state)
{
	static const struct {
		const char *given, *written;
	} cases[] = {
		{"a\nb", "a\\x0ab"},
		{"a\r\tb\x1b[31m\x7f", "a\\x0d\\x09b\\x1b[31m\\x7f"},
		{"a\u202eb\u2066c\u200f", "a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6c\\xe2\\x80\\x8f"},
		{"a\u2028b\u2029", "a\\xe2\\x80\\xa8b\\xe2\\x80\\xa9"},
		{"a\xc2\x9b"
		 "31m\xc2\x85",
		 "a\\xc2\\x9b31m\\xc2\\x85"},
		{"\xd8\x9c", "\\xd8\\x9c"},
		{"na\u00efve \u20ac \U0001f600", "na\u00efve \u20ac \U0001f600"},
		{"cut \xe2", "cut \xe2"},
		{"cut \xe2\x80", "cut \xe2\x80"},
	};
	struct fixture *f = *state;
	struct error err;
	char expected[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(log_open_file(f->folder, "test.log", &rotation, &err), 0);
		log_info("%s", cases[i].given);
		(void)snprintf(expected, sizeof(expected), " info    %s\n", cases[i].written);
		assert_string_equal(logged(f->path) + 23, expected);
		(void)unlink(f->path);
	}
}

static void a_very_long_line_is_cut_and_stays_one_line(void **state)
{
	struct fixture *f = *state;
	struct error err;
	char text[20000];

	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(log_open_file(f->folder, "test.log", &rotation, &err), 0);
	log_info("%s", text);
	assert_non_null(strchr(logged(f->path), '\n'));
	assert_int_equal(strchr(logged(f->path), '\n')[1], '\0');
}

static void errno_survives_a_line(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(log_open_file(f->folder, "test.log", &rotation, &err), 0);
	errno = ENOTTY;
	log_info("x");
	assert_int_equal(errno, ENOTTY);
	errno = ENOTTY;
	log_debug("x");
	assert_int_equal(errno, ENOTTY);
}

static void a_moved_file_is_opened_again_under_its_name(void **state)
{
	struct fixture *f = *state;
	struct error err;
	char old[160];

	(void)snprintf(old, sizeof(old), "%s.1", f->path);
	assert_int_equal(log_open_file(f->folder, "test.log", &rotation, &err), 0);
	log_info("first");
	assert_int_equal(rename(f->path, old), 0);
	log_info("second");
	log_reopen_file();
	log_info("third");
	assert_non_null(strstr(logged(old), "second"));
	assert_null(strstr(logged(old), "third"));
	assert_string_equal(logged(f->path) + 23, " info    third\n");
}

static void a_file_that_cannot_be_opened_again_goes_on_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct error err;
	char old[160];

	(void)snprintf(old, sizeof(old), "%s.1", f->path);
	assert_int_equal(log_open_file(f->folder, "test.log", &rotation, &err), 0);
	assert_int_equal(rename(f->path, old), 0);
	assert_int_equal(symlink(old, f->path), 0); /* links are not followed */
	log_reopen_file();
	log_info("still here");
	assert_non_null(strstr(logged(old), "cannot reopen"));
	assert_non_null(strstr(logged(old), "still here"));
}

static void lines_from_before_the_file_are_in_it_when_they_were_kept(void **state)
{
	struct fixture *f = *state;
	struct error err;

	log_info("nobody kept this");
	log_hold();
	log_warning("what the settings say");
	assert_int_equal(log_open_file(f->folder, "test.log", &rotation, &err), 0);
	log_info("and now");
	assert_non_null(strstr(logged(f->path), "warning what the settings say\n"));
	assert_non_null(strstr(logged(f->path), "and now\n"));
	assert_null(strstr(logged(f->path), "nobody"));
}

static void opening_fails_with_the_path(void **state)
{
	struct error err;

	(void)state;
	assert_fails(log_open_file("/nonexistent", "test.log", &rotation, &err), ERR_NOT_FOUND);
	assert_string_equal(err.message,
			    "open log file /nonexistent/test.log: No such file or directory");
	log_info("no file, no trouble");
	log_reopen_file();
}

/* The log's descriptor is exchanged for one of a full disk and back, as a disk fills and is freed.
 */
static void lines_for_a_full_disk_are_counted(void **state)
{
	struct fixture *f = *state;
	AUTO(close_p) int full = open("/dev/full", O_WRONLY | O_CLOEXEC), good = -1;
	struct error err;
	int log_fd = dup(full); /* the next one to be opened is the same number */

	(void)close(log_fd);
	assert_int_equal(log_open_file(f->folder, "test.log", &rotation, &err), 0);
	good = dup(log_fd);
	log_info("before");
	assert_int_equal(dup2(full, log_fd), log_fd);
	log_info("lost 1");
	log_info("lost 2");
	assert_int_equal(dup2(good, log_fd), log_fd);
	log_info("after");
	log_info("after that");
	assert_null(strstr(logged(f->path), "lost 1"));
	assert_non_null(strstr(logged(f->path), " 2 lines could not be written\n"));
	assert_non_null(strstr(strstr(logged(f->path), "2 lines"), "after\n"));
	assert_null(strstr(strstr(logged(f->path), "2 lines") + 8, "lines could not"));
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(a_listener_is_told_what_is_logged),
		WITH_FOLDER(lines_have_time_level_and_text),
		WITH_FOLDER(only_the_chosen_levels_are_written),
		WITH_FOLDER(what_a_peer_sends_cannot_forge_a_line_or_turn_it),
		WITH_FOLDER(a_very_long_line_is_cut_and_stays_one_line),
		WITH_FOLDER(errno_survives_a_line),
		WITH_FOLDER(a_moved_file_is_opened_again_under_its_name),
		WITH_FOLDER(a_file_that_cannot_be_opened_again_goes_on_as_it_was),
		WITH_FOLDER(lines_from_before_the_file_are_in_it_when_they_were_kept),
		WITH_FOLDER(opening_fails_with_the_path),
		WITH_FOLDER(lines_for_a_full_disk_are_counted),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed;
}
