#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/program-options.h"
#include "tests/unit/unit.h"

#define WORDS_MAX 8

static const char *conf, *folder;
static int ready_fd;

static int print_part(const char *part, struct error *err)
{
	if (part && strcmp(part, "all") != 0)
		return error_set(err, ERR_USAGE, "--print-part: there is no part '%s'", part);
	printf("part %s\n", part ? part : "none");
	return 0;
}

static void print_more(void)
{
	(void)puts("and more");
}

static const struct program_option table[] = {
	{"conf", "FILE", "settings", "/etc/conf", .text = &conf},
	{"dir", "DIR", "a folder", .text = &folder},
	{"print", NULL, "print it", .print = print_part},
	{"print-part", "PART", .print = print_part},
	{0},
};
static const struct program_options service = {"Usage: service\n", table, .ready_fd = &ready_fd};
static const struct program_options command = {"Usage: command\n", table, .n_arguments = 2,
					       .more = print_more};

/* What a command line led to. */
struct outcome {
	int status;
	char printed[1024], said[1024]; /* standard output, error stream */
	char *argv[WORDS_MAX];
	int argc;
};

/* The stream goes to a file until put_back(). */
static int take_away(FILE *stream, int *ret_real)
{
	int fd = memfd_create("taken", MFD_CLOEXEC);

	(void)fflush(stream);
	*ret_real = dup(fileno(stream));
	assert_true(fd >= 0 && *ret_real >= 0 && dup2(fd, fileno(stream)) >= 0);
	return fd;
}

static void put_back(FILE *stream, int real, int fd, char *ret, size_t size)
{
	ssize_t len;

	(void)fflush(stream);
	(void)dup2(real, fileno(stream));
	(void)close(real);
	len = pread(fd, ret, size - 1, 0);
	(void)close(fd);
	assert_true(len >= 0);
	ret[len] = '\0';
}

/* @line: words with one space between them. The outcome is good until the next call. */
static const struct outcome *read_line(const struct program_options *options, const char *line)
{
	static char words[256];
	static struct outcome o;
	int out, err, real_out, real_err;

	o = (struct outcome){.argv = {"program"}, .argc = 1};
	(void)snprintf(words, sizeof(words), "%s", line);
	for (char *rest = words, *word; (word = strsep(&rest, " ")) && *word;)
		o.argv[o.argc++] = word;
	out = take_away(stdout, &real_out);
	err = take_away(stderr, &real_err);
	o.status = program_options_read(options, o.argc, o.argv);
	put_back(stderr, real_err, err, o.said, sizeof(o.said));
	put_back(stdout, real_out, out, o.printed, sizeof(o.printed));
	return &o;
}

static void what_is_not_given_has_its_default(void **state)
{
	const struct outcome *o = read_line(&service, "");

	(void)state;
	assert_int_equal(o->status, -1);
	assert_string_equal(conf, "/etc/conf");
	assert_null(folder);
	assert_int_equal(ready_fd, -1);
	assert_string_equal(o->printed, "");
	assert_string_equal(o->said, "");
}

static void what_is_given_goes_where_the_table_says(void **state)
{
	char line[64];
	int fd = dup(STDERR_FILENO);

	(void)state;
	(void)snprintf(line, sizeof(line), "--dir=here --conf mine --ready-fd %d", fd);
	assert_int_equal(read_line(&service, line)->status, -1);
	assert_string_equal(conf, "mine");
	assert_string_equal(folder, "here");
	assert_int_equal(ready_fd, fd);
	(void)close(fd);
}

static void arguments_are_the_last_words(void **state)
{
	const struct outcome *o = read_line(&command, "one --conf mine two");

	(void)state;
	assert_int_equal(o->status, -1);
	assert_string_equal(o->argv[o->argc - 2], "one");
	assert_string_equal(o->argv[o->argc - 1], "two");
}

static void the_help_is_made_of_the_table(void **state)
{
	(void)state;
	for (const char *const *line = (const char *const[]){"-h", "--dir x --help", NULL}; *line;
	     line++) {
		const struct outcome *o = read_line(&service, *line);

		assert_int_equal(o->status, 0);
		assert_string_equal(o->said, "");
		assert_string_equal(
			o->printed,
			"Usage: service\n\n"
			"  --conf FILE                  settings (default: /etc/conf)\n"
			"  --dir DIR                    a folder\n"
			"  --print                      print it\n"
			"  --ready-fd N                 write \"ready\" to descriptor N when up\n"
			"  -h, --help\n  --version\n");
	}
	assert_null(strstr(read_line(&command, "-h")->printed, "--ready-fd"));
	assert_non_null(strstr(read_line(&command, "-h")->printed, "--version\nand more\n"));
}

static void what_prints_ends_the_program(void **state)
{
	static const struct {
		const char *line, *printed;
	} cases[] = {
		{"--print --no-such", "part none\n"},
		{"--print-part all stray", "part all\n"},
		{"--version", "test-program-options " VERSION "\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct outcome *o = read_line(&service, cases[i].line);

		assert_int_equal(o->status, 0);
		assert_string_equal(o->printed, cases[i].printed);
		assert_string_equal(o->said, "");
	}
}

static void a_wrong_line_is_status_2_and_a_sentence_that_names_it(void **state)
{
	static const struct {
		const struct program_options *options;
		const char *line, *named;
	} cases[] = {
		{&service, "--no-such", "'--no-such'"},
		{&service, "-x", "'x'"},
		{&service, "--conf", "'--conf'"},
		{&service, "--print=all", "'--print'"},
		{&service, "--print-part most", "--print-part: there is no part 'most'"},
		{&service, "--ready-fd x", "--ready-fd: 'x'"},
		{&service, "--conf mine stray", "unexpected argument 'stray'"},
		{&command, "--ready-fd 3 one two", "'--ready-fd'"},
		{&command, "one", "arguments are missing"},
		{&command, "one two three four", "unexpected argument 'three'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct outcome *o = read_line(cases[i].options, cases[i].line);

		assert_int_equal(o->status, 2);
		assert_string_equal(o->printed, "");
		assert_ptr_equal(strstr(o->said, "test-program-options: "), o->said);
		assert_non_null(strstr(o->said, cases[i].named));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_given_has_its_default),
		cmocka_unit_test(what_is_given_goes_where_the_table_says),
		cmocka_unit_test(arguments_are_the_last_words),
		cmocka_unit_test(the_help_is_made_of_the_table),
		cmocka_unit_test(what_prints_ends_the_program),
		cmocka_unit_test(a_wrong_line_is_status_2_and_a_sentence_that_names_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
