/* The worked examples of the permissions reference, section 8, by their numbers. */
#include <unistd.h>

#include "common/file.h"
#include "tests/unit/common/permissions-fixture.h"

#define OWNER "olga"

/* One user per row; the first NULL ends them. */
struct row {
	const char *user, *features;
};

static void check_as(const char *text, const char *owner, const struct permissions_options *options,
		     const struct row *rows)
{
	struct permissions *p = parse_with(text, strlen(text), options);

	for (; rows->user; rows++)
		assert_may(p, rows->user, owner, rows->features);
	permissions_free(p);
}

static void check(const char *text, const struct row *rows)
{
	check_as(text, OWNER, &(struct permissions_options){0}, rows);
}

#define ROWS(...) ((const struct row[]){__VA_ARGS__, {NULL, NULL}})

static const char example_1[] = "[permissions]\n"
				"%owner% allow builtin\n";

static void example_1_owner_only(void **state)
{
	(void)state;
	check(example_1, ROWS({"olga", "builtin"}, {"pavel", ""}));
	assert_int_equal(N_FEATURES, 23);
}

static void example_2_viewer_for_everybody(void **state)
{
	(void)state;
	check("[permissions]\n"
	      "%owner% allow builtin\n"
	      "%any% allow display pointer\n",
	      ROWS({"olga", "builtin"}, {"pavel", "display pointer"}));
}

static void example_3_disallow_is_undone_by_a_later_line(void **state)
{
	(void)state;
	check("[permissions]\n"
	      "%any% allow display audio-out printer\n"
	      "%any% disallow printer\n"
	      "olga allow printer\n",
	      ROWS({"olga", "display audio-out printer"}, {"pavel", "display audio-out"}));
}

static void example_4_the_same_with_the_lines_exchanged(void **state)
{
	(void)state;
	check("[permissions]\n"
	      "olga allow printer\n"
	      "%any% allow display audio-out\n"
	      "%any% disallow printer\n",
	      ROWS({"olga", "display audio-out"}, {"pavel", "display audio-out"}));
}

static void example_5_deny_before_allow(void **state)
{
	(void)state;
	check("[permissions]\n"
	      "%any% deny clipboard-copy file-download screenshot\n"
	      "%owner% allow builtin\n",
	      ROWS({"olga", "builtin -clipboard-copy -file-download -screenshot"}, {"pavel", ""}));
}

static void example_6_deny_after_allow_one_group(void **state)
{
	(void)state;
	check("[groups]\n"
	      "trainees = pavel, user:quinn\n"
	      "\n"
	      "[permissions]\n"
	      "%any% allow display mouse keyboard pointer\n"
	      "group:trainees deny keyboard mouse\n"
	      "quinn allow mouse\n",
	      ROWS({"olga", "display keyboard mouse pointer"}, {"pavel", "display pointer"},
		   {"quinn", "display pointer"}));
}

static void example_7_nested_groups_and_those_of_the_system(void **state)
{
	(void)state;
	check("[groups]\n"
	      "designers = osgroup:cad, ulla\n"
	      "leads = tomas, group:designers\n"
	      "\n"
	      "[aliases]\n"
	      "look = display, pointer\n"
	      "work = look, mouse, keyboard, stylus\n"
	      "\n"
	      "[permissions]\n"
	      "osgroup:staff allow look\n"
	      "group:leads allow work\n"
	      "group:designers disallow stylus\n"
	      "%owner% allow builtin\n",
	      ROWS({"olga", "builtin"}, {"rita", "display keyboard mouse pointer"},
		   {"sven", "display keyboard mouse pointer"},
		   {"tomas", "display keyboard mouse pointer stylus"},
		   {"ulla", "display keyboard mouse pointer"}, {"victor", ""}));
}

static void example_8_alias_holding_builtin(void **state)
{
	(void)state;
	check("[aliases]\n"
	      "Everything = builtin\n"
	      "leaks = clipboard-copy, file-download, printer, screenshot, usb\n"
	      "\n"
	      "[permissions]\n"
	      "%owner% allow Everything\n"
	      "%owner% disallow leaks\n"
	      "%owner% allow printer\n",
	      ROWS({"olga", "builtin -clipboard-copy -file-download -screenshot -usb"},
		   {"pavel", ""}));
}

/* The text is that of the file PATH; its companion lies beside it. */
static void check_files(const char *text, const char *companion, const char *companion_text,
			const struct row *rows)
{
	char folder[] = "/tmp/test-permissions-XXXXXX", path[64], companion_path[64];
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	struct error err = {0};

	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/project.perm", folder);
	(void)snprintf(companion_path, sizeof(companion_path), "%s/%s", folder, companion);
	assert_int_equal(file_write_volatile(path, text, strlen(text), 0600, &err), 0);
	assert_int_equal(file_write_volatile(companion_path, companion_text, strlen(companion_text),
					     0600, &err),
			 0);
	if (permissions_load(path, &(struct permissions_options){0}, &p, &report, &err) < 0)
		fail_msg("%s", err.message);
	for (; rows->user; rows++)
		assert_may(p, rows->user, OWNER, rows->features);
	permissions_free(p);
	permissions_report_done(&report);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(companion_path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void example_9_imports(void **state)
{
	(void)state;
	check_files("#import base.perm\n"
		    "\n"
		    "[permissions]\n"
		    "%owner% allow builtin\n"
		    "pavel allow basics\n",
		    "base.perm",
		    "[aliases]\n"
		    "basics = display, mouse, keyboard, pointer\n"
		    "\n"
		    "[permissions]\n"
		    "%any% deny usb\n"
		    "osgroup:support allow display pointer\n",
		    ROWS({"olga", "builtin -usb"}, {"pavel", "display keyboard mouse pointer"},
			 {"wanda", "display pointer"}));
}

static void example_10_import_position_matters(void **state)
{
	(void)state;
	check_files("[permissions]\n"
		    "%any% allow audio-out\n"
		    "#import quiet.perm\n"
		    "xenia allow audio-out\n",
		    "quiet.perm",
		    "[permissions]\n"
		    "%any% disallow audio-out\n",
		    ROWS({"olga", ""}, {"xenia", "audio-out"}));
}

/* What the default file and then another one leave. */
static void assert_merged(const char *text, const char *user, const char *words)
{
	struct permissions *first = parse(example_1), *second = parse(text);
	struct rights rights = {0};

	apply(first, user, OWNER, &rights);
	apply(second, user, OWNER, &rights);
	assert_features(user, rights_features(&rights), features_of(words));
	permissions_free(first);
	permissions_free(second);
}

static void example_11_nothing(void **state)
{
	static const char text[] = "; nothing here\n"
				   "[permissions]\n";

	(void)state;
	check("", ROWS({"olga", ""}, {"pavel", ""}));
	check(text, ROWS({"olga", ""}, {"pavel", ""}));
	assert_merged("", "olga", "builtin");
	assert_merged(text, "olga", "builtin");
	assert_merged(text, "pavel", "");
}

static void example_12_windows_names(void **state)
{
	static const char text[] = "[groups]\n"
				   "helpdesk = CORP\\yann, user:zoe@corp.example\n"
				   "\n"
				   "[permissions]\n"
				   "%owner% allow builtin\n"
				   "group:helpdesk allow display mouse keyboard keyboard-sas\n"
				   "CORP\\yann deny keyboard-sas\n";

	(void)state;
	check_as(text, "CORP\\olga", &(struct permissions_options){.ignores_case = true},
		 ROWS({"CORP\\olga", "builtin"}, {"corp\\Olga", "builtin"},
		      {"CORP\\yann", "display keyboard mouse"},
		      {"corp\\YANN", "display keyboard mouse"},
		      {"zoe@corp.example", "display keyboard keyboard-sas mouse"}));
	check_as(text, "CORP\\olga", &(struct permissions_options){0},
		 ROWS({"CORP\\yann", "display keyboard mouse"}, {"corp\\YANN", ""}));
}

static void example_13_supervision(void **state)
{
	(void)state;
	check("[permissions]\n"
	      "%owner% allow builtin\n"
	      "group:reviewers allow display mouse keyboard\n"
	      "pavel allow display unsupervised-access\n"
	      "\n"
	      "[groups]\n"
	      "reviewers = rita\n",
	      ROWS({"rita", "display keyboard mouse"}, {"pavel", "display unsupervised-access"}));
}

static void example_14_a_broken_file(void **state)
{
	static const char text[] = "[permissions]\n"
				   "%owner% allow builtin\n"
				   "pavel permit display\n"
				   "quinn allow dispaly\n";
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	struct error err;

	(void)state;
	assert_fails(permissions_parse(text, strlen(text), &(struct permissions_options){0}, &p,
				       &report, &err),
		     ERR_INVALID);
	assert_string_equal(err.message, "line 3: unknown rule permit");
	assert_null(p);
	assert_int_equal(report.errors.total, 2);
	assert_int_equal(report.errors.items[1].line, 4);
	assert_string_equal(report.errors.items[1].text, "unknown feature dispaly");
	permissions_report_done(&report);
}

static void example_15_merge(void **state)
{
	static const char text[] = "[permissions]\n"
				   "%any% allow display\n"
				   "%any% deny file-download\n";

	(void)state;
	check(text, ROWS({"olga", "display"}, {"pavel", "display"}));
	assert_merged(text, "olga", "builtin -file-download");
	assert_merged(text, "pavel", "display");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example_1_owner_only),
		cmocka_unit_test(example_2_viewer_for_everybody),
		cmocka_unit_test(example_3_disallow_is_undone_by_a_later_line),
		cmocka_unit_test(example_4_the_same_with_the_lines_exchanged),
		cmocka_unit_test(example_5_deny_before_allow),
		cmocka_unit_test(example_6_deny_after_allow_one_group),
		cmocka_unit_test(example_7_nested_groups_and_those_of_the_system),
		cmocka_unit_test(example_8_alias_holding_builtin),
		cmocka_unit_test(example_9_imports),
		cmocka_unit_test(example_10_import_position_matters),
		cmocka_unit_test(example_11_nothing),
		cmocka_unit_test(example_12_windows_names),
		cmocka_unit_test(example_13_supervision),
		cmocka_unit_test(example_14_a_broken_file),
		cmocka_unit_test(example_15_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
