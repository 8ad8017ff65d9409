/* Imports: where they may come from, and what is said of those that cannot be. */
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "tests/unit/common/permissions-fixture.h"

#define LOOK "[permissions]\n%any% allow display\n"

/* A folder "in", of which files may be imported, and one "out". */
struct fixture {
	char folder[64];
	char import_folders[160]; /* "in", and one that does not exist */
	struct permissions_options options;
};

static const char *path_of(const struct fixture *f, const char *name)
{
	static char paths[4][128];
	static size_t n;
	char *path = paths[n++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", f->folder, name);
	return path;
}

static const char *put(const struct fixture *f, const char *name, const char *text)
{
	const char *path = path_of(f, name);
	struct error err;

	assert_int_equal(file_write_volatile(path, text, strlen(text), 0600, &err), 0);
	return path;
}

static int set_up(void **state)
{
	static struct fixture f;
	char *at = f.import_folders;

	f = (struct fixture){.folder = "/tmp/test-import-XXXXXX"};
	assert_non_null(mkdtemp(f.folder));
	assert_int_equal(mkdir(path_of(&f, "in"), 0700), 0);
	assert_int_equal(mkdir(path_of(&f, "in/sub"), 0700), 0);
	assert_int_equal(mkdir(path_of(&f, "out"), 0700), 0);
	at += snprintf(at, 64, "%s/none", f.folder) + 1;
	at += snprintf(at, 64, "%s/in/", f.folder) + 1;
	*at = '\0';
	f.options.import_folders = f.import_folders;
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	const struct fixture *f = *state;
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
	return system(command);
}

/* The sentence of the first error, "" without one. The text came without a file. */
static const char *failure(const struct fixture *f, const char *format, const char *path)
{
	static struct error err;
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	char text[256];

	(void)snprintf(text, sizeof(text), format, path);
	err = (struct error){0};
	if (permissions_parse(text, strlen(text), &f->options, &p, &report, &err) == 0)
		err.message[0] = '\0';
	permissions_free(p);
	permissions_report_done(&report);
	return err.message;
}

static const char *sentence(const char *format, const char *a, const char *b)
{
	static char text[512];

	(void)snprintf(text, sizeof(text), format, a, b);
	return text;
}

static void a_text_without_a_file_imports_from_the_import_folders(void **state)
{
	struct fixture *f = *state;
	char text[160];
	struct permissions *p;

	(void)put(f, "in/a.perm", "#import sub/b.perm\n" LOOK);
	/* its own folder is where it looks first and last */
	(void)put(f, "in/sub/b.perm", "#import c.perm\n[permissions]\n%any% allow usb\n");
	(void)put(f, "in/sub/c.perm", "#import ../d.perm\n[permissions]\n%any% allow mouse\n");
	(void)put(f, "in/d.perm", "");
	p = parse_with("#import a.perm", 14, &f->options);
	assert_may(p, "pavel", "olga", "display mouse usb");
	permissions_free(p);
	(void)snprintf(text, sizeof(text), " #import \t%s \r\n",
		       path_of(f, "in//sub/./../sub/c.perm"));
	p = parse_with(text, strlen(text), &f->options);
	assert_may(p, "pavel", "olga", "mouse");
	permissions_free(p);
}

static void definitions_of_an_import_are_known_everywhere(void **state)
{
	static const char text[] = "#import a.perm\n[permissions]\ngroup:team allow look\n"
				   "#import a.perm\n[aliases]\nmore = usb\n";
	struct fixture *f = *state;
	struct permissions *p;

	(void)put(f, "in/a.perm", "[groups]\nteam = pavel\n[aliases]\nlook = display, more\n");
	p = parse_with(text, strlen(text), &f->options);
	assert_may(p, "pavel", "olga", "display usb");
	permissions_free(p);
}

static void an_import_begins_outside_of_sections(void **state)
{
	struct fixture *f = *state;
	const char *path = put(f, "in/a.perm", "pavel allow display\n");

	assert_string_equal(failure(f, "[permissions]\n#import %s\npavel allow\n", path),
			    sentence("line 1 of %s: entry outside of a section%s", path, ""));
	(void)put(f, "in/a.perm", "[groups]\n");
	assert_string_equal(failure(f, "#import %s\npavel allow display\n", path),
			    "line 2: entry outside of a section");
}

static void what_lies_outside_is_refused_whether_it_exists_or_not(void **state)
{
	static const char refusal[] = "line 1: cannot import %s: it is outside of the folders that "
				      "may be imported from%s";
	static const char *const names[] = {"out/a.perm", "out/none.perm", "in/../out/a.perm",
					    "inner/a.perm", "in"};
	struct fixture *f = *state;
	const char *path;

	(void)put(f, "out/a.perm", LOOK);
	assert_int_equal(mkdir(path_of(f, "inner"), 0700), 0);
	(void)put(f, "inner/a.perm", LOOK);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		path = path_of(f, names[i]);
		assert_string_equal(failure(f, "#import %s\n", path), sentence(refusal, path, ""));
	}
	assert_string_equal(failure(f, "#import %s\n", "../out/a.perm"),
			    sentence(refusal, "../out/a.perm", ""));
	assert_string_equal(failure(f, "#import %s\n", "/etc/passwd"),
			    sentence(refusal, "/etc/passwd", ""));
	f->options.import_folders = "";
	assert_string_equal(failure(f, "#import %s\n", "a.perm"), sentence(refusal, "a.perm", ""));
}

static void links_count_by_where_they_lead(void **state)
{
	struct fixture *f = *state;
	struct permissions *p;

	(void)put(f, "in/a.perm", LOOK);
	(void)put(f, "out/a.perm", LOOK);
	assert_int_equal(symlink(path_of(f, "in/a.perm"), path_of(f, "in/sub/good.perm")), 0);
	assert_int_equal(symlink("../../out/a.perm", path_of(f, "in/sub/bad.perm")), 0);
	assert_int_equal(symlink(path_of(f, "out"), path_of(f, "in/away")), 0);
	p = parse_with("#import sub/good.perm", 21, &f->options);
	assert_may(p, "pavel", "olga", "display");
	permissions_free(p);
	assert_non_null(strstr(failure(f, "#import %s\n", "sub/bad.perm"), "it is outside"));
	assert_non_null(strstr(failure(f, "#import %s\n", "away/a.perm"), "it is outside"));
	/* a folder that is set may itself be reached through a link */
	(void)snprintf(f->import_folders, sizeof(f->import_folders), "%s", path_of(f, "in/away"));
	f->import_folders[strlen(f->import_folders) + 1] = '\0';
	assert_string_equal(failure(f, "#import %s\n", "a.perm"), "");
	assert_string_equal(failure(f, "#import %s\n", path_of(f, "out/a.perm")), "");
	assert_string_equal(failure(f, "#import %s\n", path_of(f, "in/away/a.perm")), "");
}

static void what_cannot_be_read_is_told(void **state)
{
	struct fixture *f = *state;
	const char *fifo = path_of(f, "in/fifo");

	assert_string_equal(failure(f, "\n#import %s\n", "none.perm"),
			    "line 2: cannot import none.perm: No such file or directory");
	assert_string_equal(failure(f, "#import %s\n", "sub"),
			    "line 1: cannot import sub: it is not a regular file");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_string_equal(failure(f, "#import %s\n", "fifo"),
			    "line 1: cannot import fifo: it is not a regular file");
	assert_int_equal(symlink("self", path_of(f, "in/self")), 0);
	assert_string_equal(failure(f, "#import %s\n", "self"),
			    "line 1: cannot import self: Too many levels of symbolic links");
}

static void a_cycle_is_told(void **state)
{
	struct fixture *f = *state;
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	const char *path = put(f, "in/a.perm", "#import sub/b.perm\n");
	struct error err;

	(void)put(f, "in/sub/b.perm", "\n#import ../a.perm\n");
	assert_string_equal(failure(f, "#import %s\n", "a.perm"),
			    sentence("line 2 of %s: import cycle %s", path_of(f, "in/sub/b.perm"),
				     "../a.perm"));
	/* by the file itself too, under whatever name */
	assert_fails(permissions_load(path, &f->options, &p, &report, &err), ERR_INVALID);
	assert_non_null(strstr(err.message, "import cycle ../a.perm"));
	permissions_report_done(&report);
}

static void imports_nest_sixteen_deep(void **state)
{
	struct fixture *f = *state;
	char name[16], text[64];

	for (unsigned i = 1; i <= 17; i++) {
		(void)snprintf(name, sizeof(name), "in/%u.perm", i);
		(void)snprintf(text, sizeof(text), "#import %u.perm\n", i + 1);
		(void)put(f, name, i == 17 ? LOOK : text);
	}
	assert_string_equal(failure(f, "#import %s\n", "2.perm"), "");
	assert_string_equal(
		failure(f, "#import %s\n", "1.perm"),
		sentence("line 1 of %s: imports nested too deep%s", path_of(f, "in/16.perm"), ""));
}

static void all_files_together_have_a_limit(void **state)
{
	AUTO(free_p) char *text = calloc(1, 100001);
	struct fixture *f = *state;

	memset(text, '\n', 100000);
	(void)put(f, "in/a.perm", text);
	assert_string_equal(failure(f, "#import %1$s\n#import %1$s\n", "a.perm"), "");
	assert_string_equal(failure(f, "#import %1$s\n#import %1$s\n#import %1$s\n", "a.perm"),
			    "line 3: cannot import a.perm: all files together are larger than "
			    "262144 bytes");
}

static void a_file_imports_from_beside_itself(void **state)
{
	struct fixture *f = *state;
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	char cwd[256];
	struct error err = {0};

	(void)put(f, "out/a.perm", LOOK);
	(void)put(f, "out/b.perm", "#import a.perm\n");
	f->options.import_folders = NULL;
	assert_int_equal(permissions_load(path_of(f, "out/b.perm"), &f->options, &p, &report, &err),
			 0);
	assert_may(p, "pavel", "olga", "display");
	permissions_free(p);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(path_of(f, "out")), 0);
	assert_int_equal(permissions_load("b.perm", &f->options, &p, &report, &err), 0);
	permissions_free(p);
	assert_int_equal(chdir(cwd), 0);
	assert_fails(permissions_load(path_of(f, "none"), &f->options, &p, &report, &err),
		     ERR_NOT_FOUND);
	permissions_report_done(&report);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_text_without_a_file_imports_from_the_import_folders),
		TEST(definitions_of_an_import_are_known_everywhere),
		TEST(an_import_begins_outside_of_sections),
		TEST(what_lies_outside_is_refused_whether_it_exists_or_not),
		TEST(links_count_by_where_they_lead),
		TEST(what_cannot_be_read_is_told),
		TEST(a_cycle_is_told),
		TEST(imports_nest_sixteen_deep),
		TEST(all_files_together_have_a_limit),
		TEST(a_file_imports_from_beside_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
