/* The grammar of permission files, and what is said of files that break it. */
#include "tests/unit/common/permissions-fixture.h"

#define GROUPS "[groups]\n"
#define ALIASES "[aliases]\n"
#define PERMISSIONS "[permissions]\n"

/* --- what is read ------------------------------------------------------------------------------
 */

static void one_file_written_in_many_ways_is_the_same(void **state)
{
	static const char *const texts[] = {
		GROUPS "team=pavel\n" ALIASES "look=display\n" PERMISSIONS
		       "group:team allow look mouse\n",
		"\xef\xbb\xbf[ groups\t]\r\n\r\n group:team \t=  user:pavel \r\n"
		"  [aliases]  \r\n look = display\r\n[permissions]\r\n"
		"\tgroup:team \t allow\tlook  mouse \r\n",
		/* sections in any order and more than once, the last line without an end */
		PERMISSIONS "group:team allow look\n" ALIASES "look = display\n" GROUPS
			    "team = pavel\n" PERMISSIONS "group:team allow mouse",
		/* comments; the words of a section are no words of another */
		"; note\n# note\n#importance\n#import\n  ; [nothing]\n" GROUPS "look = nobody\n"
		"team = pavel\n" ALIASES "team = usb\nlook = display\n" PERMISSIONS
		"#\x01\n;\x7f\ngroup:team allow look mouse\n",
		/* united */
		GROUPS "team =\nteam = quinn\nteam = pavel\n" ALIASES
		       "look = display\nlook = mouse\nlook =\n" PERMISSIONS
		       "group:team allow look\n",
		/* repeated */
		PERMISSIONS "pavel allow mouse display mouse\npavel allow display\n",
		PERMISSIONS "user:pavel allow mouse display\r",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct permissions *p = parse(texts[i]);

		assert_may(p, "pavel", "olga", "display mouse");
		assert_may(p, "Pavel", "olga", "");
		assert_may(p, "olga", "olga", "");
		assert_may(p, NULL, "olga", "");
		permissions_free(p);
	}
}

static void names_are_taken_as_they_are(void **state)
{
	struct permissions *p =
		parse(GROUPS "g.1-x:y = two words , a=b, group:g2, osgroup:Mixed Case\n"
			     "group:g2 = user:user:x, j\xc3\xbcrgen\n"
			     "group:group:odd = odd\n" PERMISSIONS "group:g.1-x:y allow display\n"
			     "group:group:odd allow usb\n"
			     "user:%owner% allow mouse\n"
			     "a;b allow printer\n"
			     "osgroup:osgroup:x allow webcam\n");

	(void)state;
	assert_may(p, "two words", "olga", "display");
	assert_may(p, "a=b", "olga", "display");
	assert_may(p, "user:x", "olga", "display");
	assert_may(p, "j\xc3\xbcrgen", "olga", "display");
	assert_may(p, "rita", "olga", "display");
	assert_may(p, "odd", "olga", "usb");
	assert_may(p, "a;b", "olga", "printer");
	assert_may(p, "olga", "olga", "");
	assert_may(p, "%owner%", "olga", "mouse");
	permissions_free(p);
}

static void every_feature_and_every_rule_has_its_name(void **state)
{
	char text[64];

	(void)state;
	for (unsigned i = 0; i < N_FEATURES; i++) {
		struct permissions *p;

		(void)snprintf(text, sizeof(text), PERMISSIONS "pavel allow %s\n", feature_name(i));
		p = parse(text);
		assert_may(p, "pavel", "olga", feature_name(i));
		permissions_free(p);
	}
	assert_string_equal(rule_name(RULE_DISALLOW), "disallow");
}

static void a_deny_is_final_for_owners_and_through_groups(void **state)
{
	struct permissions *p = parse(GROUPS "all = group:some\nsome = olga, pavel\n" PERMISSIONS
					     "%any% allow display usb\n"
					     "group:all deny usb\n"
					     "%owner% disallow display\n"
					     "%owner% allow builtin\n"
					     "%owner% deny webcam\n");

	(void)state;
	assert_may(p, "olga", "olga", "builtin -usb -webcam");
	assert_may(p, "pavel", "olga", "display");
	assert_may(p, "quinn", "olga", "display usb");
	/* the same permissions for another owner */
	assert_may(p, "olga", "pavel", "display");
	permissions_free(p);
}

static void the_line_that_decided_is_told(void **state)
{
	struct permissions *p = parse(PERMISSIONS "%any% allow display usb mouse\n"
						  "pavel deny usb\n"
						  "pavel disallow mouse\n"
						  "%any% allow usb\n"
						  "%any% deny usb\n");
	struct rights rights = {0};

	(void)state;
	apply(p, "pavel", "olga", &rights);
	assert_int_equal(rights.grounds[FEATURE_display].rule, RULE_ALLOW);
	assert_int_equal(rights.grounds[FEATURE_display].place.line, 2);
	assert_null(rights.grounds[FEATURE_display].place.file);
	assert_int_equal(rights.grounds[FEATURE_usb].rule, RULE_DENY);
	assert_int_equal(rights.grounds[FEATURE_usb].place.line, 3);
	assert_int_equal(rights.grounds[FEATURE_mouse].rule, RULE_DISALLOW);
	assert_int_equal(rights.grounds[FEATURE_mouse].place.line, 4);
	assert_int_equal(rights.grounds[FEATURE_webcam].rule, RULE_NONE);
	permissions_free(p);
}

static void groups_of_the_system_are_named_once_each(void **state)
{
	struct permissions *p = parse(GROUPS "a = osgroup:cad, osgroup:staff\n" PERMISSIONS
					     "osgroup:cad allow display\n");
	struct place place;
	size_t at = 0;

	(void)state;
	assert_string_equal(permissions_next_os_group(p, &at, &place), "cad");
	assert_int_equal(place.line, 2);
	assert_string_equal(permissions_next_os_group(p, &at, &place), "staff");
	assert_null(permissions_next_os_group(p, &at, &place));
	assert_null(permissions_next_os_group(p, &at, &place));
	permissions_free(p);
}

/* Deeper than any stack of calls would be. */
static void nesting_has_no_limit(void **state)
{
	AUTO(buf_done) struct buf text = {0};
	struct permissions *p;
	struct error err;

	(void)state;
	assert_int_equal(buf_append_text(&text, GROUPS, &err), 0);
	for (unsigned i = 0; i < 9000; i++)
		assert_int_equal(buf_printf(&text, &err, "g%u=group:g%u\n", i, i + 1), 0);
	assert_int_equal(buf_append_text(&text,
					 "g9000=pavel\n" PERMISSIONS "group:g0 allow display\n",
					 &err),
			 0);
	p = parse_with(text.data, text.len, &(struct permissions_options){0});
	assert_may(p, "pavel", "olga", "display");
	assert_may(p, "quinn", "olga", "");
	permissions_free(p);
}

/* --- what is refused ---------------------------------------------------------------------------
 */

/* All errors of the text, as "LINE: TEXT; LINE: TEXT". */
static void errors_of(const char *text, size_t len, const struct permissions_options *options,
		      char *ret, size_t size)
{
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	struct error err = {0};
	size_t used = 0;

	*ret = '\0';
	if (permissions_parse(text, len, options, &p, &report, &err) == 0) {
		assert_non_null(p);
		assert_int_equal(report.errors.total, 0);
	} else {
		assert_int_equal(err.code, ERR_INVALID);
		assert_null(p);
	}
	for (size_t i = 0; i < report.errors.n; i++) {
		const struct problem *e = &report.errors.items[i];

		assert_null(e->file);
		used += (size_t)snprintf(ret + used, size - used, "%s%u: %s", i ? "; " : "",
					 e->line, e->text);
		assert_true(used < size);
	}
	permissions_free(p);
	permissions_report_done(&report);
}

static const struct {
	const char *text, *errors;
} wrong_files[] = {
	{"pavel allow display\n", "1: entry outside of a section"},
	{"; x\n\nteam = pavel\n" PERMISSIONS, "3: entry outside of a section"},
	{"[]\n", "1: unknown section "},
	{"[Permissions]\n", "1: unknown section Permissions"},
	{"[ permission ]\nwhat = ever\n", "1: unknown section permission"},
	{"[permissions\n", "1: unknown section permissions"},
	{"[permissions] ; mine\n", "1: unknown section permissions] ; mine"},
	{"[group]\nx\n" PERMISSIONS "pavel let display\n",
	 "1: unknown section group; 4: unknown rule let"},
	{GROUPS "team\n", "2: missing '='"},
	{GROUPS "pavel allow display\n", "2: missing '='"},
	{ALIASES "look display\n", "2: missing '='"},
	{GROUPS "= pavel\n", "2: missing name"},
	{GROUPS "group: = pavel\n", "2: missing name"},
	{ALIASES " =display\n", "2: missing name"},
	{GROUPS "two words = pavel\n", "2: invalid name two words"},
	{GROUPS "a,b = pavel\n", "2: invalid name a,b"},
	{GROUPS "a]=pavel\n", "2: invalid name a]"},
	{ALIASES "a;b = usb\n", "2: invalid name a;b"},
	{GROUPS "a = ,b\n", "2: empty member"},
	{GROUPS "a=b,\n", "2: empty member"},
	{GROUPS "a=b, ,c\n", "2: empty member"},
	{GROUPS "a=,\n", "2: empty member; 2: empty member"},
	{GROUPS "a=user:\n", "2: empty member"},
	{GROUPS "a=osgroup: ,b\n", "2: empty member"},
	{ALIASES "a = display,\n", "2: empty member"},
	{PERMISSIONS "pavel\n", "2: incomplete permission"},
	{PERMISSIONS "pavel allow\n", "2: incomplete permission"},
	{PERMISSIONS "pavel permit\n", "2: incomplete permission"},
	{PERMISSIONS "user: allow display\n", "2: missing name"},
	{PERMISSIONS "group: allow display\n", "2: missing name"},
	{PERMISSIONS "pavel Allow display\n", "2: unknown rule Allow"},
	{PERMISSIONS "pavel display allow\n", "2: unknown rule display; 2: unknown feature allow"},
	{PERMISSIONS "pavel allow display, mouse\n", "2: unknown feature display,"},
	{PERMISSIONS "pavel allow Display mouse Builtin\n",
	 "2: unknown feature Display; 2: unknown feature Builtin"},
	{PERMISSIONS "pavel allow display ; all\n", "2: unknown feature ;; 2: unknown feature all"},
	{PERMISSIONS "pavel allow clipboard-management\n",
	 "2: unknown feature clipboard-management"},
	{ALIASES "a = display, nothing\n", "2: unknown feature nothing"},
	{ALIASES "a = two words\n", "2: unknown feature two words"},
	{ALIASES "Look = display\n" PERMISSIONS "pavel allow look\n", "4: unknown feature look"},
	{PERMISSIONS "group:team allow display\n", "2: unknown group team"},
	{GROUPS "a = group:b, pavel\n", "2: unknown group b"},
	{GROUPS "Team = pavel\n" PERMISSIONS "group:team allow display\n", "4: unknown group team"},
	{GROUPS "a = group:a\n", "2: cyclic group a"},
	{GROUPS "a = group:b\nb = group:a\n", "2: cyclic group a"},
	{GROUPS "x = group:a\na = pavel\na = group:b\nb = group:c\nc = group:a\n",
	 "4: cyclic group a"},
	{ALIASES "a = a\n", "2: cyclic alias a"},
	{ALIASES "a = display, b\nb = c\nc = usb, a\n", "2: cyclic alias a"},
	{ALIASES "display = mouse\n", "2: reserved alias name display"},
	{ALIASES "builtin = mouse\n", "2: reserved alias name builtin"},
	{PERMISSIONS "pa\001vel allow display\n", "2: control character"},
	{PERMISSIONS "pavel allow display\r\r\n", "2: control character"},
	{GROUPS "a = b\x7f\n", "2: control character"},
	{PERMISSIONS "p\xffvel allow display\n", "2: not UTF-8"},
	{"; caf\xe9\n", "1: not UTF-8"},
	{"#import \n", "1: cannot import: no path is given"},
};

static void what_is_wrong_is_told_with_its_line(void **state)
{
	char errors[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong_files); i++) {
		errors_of(wrong_files[i].text, strlen(wrong_files[i].text),
			  &(struct permissions_options){0}, errors, sizeof(errors));
		assert_string_equal(errors, wrong_files[i].errors);
	}
}

static void errors_come_in_the_order_of_the_text(void **state)
{
	static const char text[] = PERMISSIONS "group:none allow nothing\n"
					       "pavel permit display\n" ALIASES "a = b\n"
					       "b = a\n" GROUPS "x\n"
					       "y = group:none\n";
	char errors[512];

	(void)state;
	errors_of(text, strlen(text), &(struct permissions_options){0}, errors, sizeof(errors));
	assert_string_equal(errors, "2: unknown feature nothing; 2: unknown group none; "
				    "3: unknown rule permit; 5: cyclic alias a; 8: missing '='; "
				    "9: unknown group none");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const char nul[] = "[permissions]\n; a \0 here\n\0";
	char errors[128], line[PERMISSIONS_LINE_MAX_BYTES + 3];

	(void)state;
	errors_of(nul, sizeof(nul) - 1, &(struct permissions_options){0}, errors, sizeof(errors));
	assert_string_equal(errors, "2: NUL byte; 3: NUL byte");
	memset(line, ';', sizeof(line));
	line[PERMISSIONS_LINE_MAX_BYTES] = '\n';
	errors_of(line, sizeof(line), &(struct permissions_options){0}, errors, sizeof(errors));
	assert_string_equal(errors, "");
	line[PERMISSIONS_LINE_MAX_BYTES] = ';';
	line[PERMISSIONS_LINE_MAX_BYTES + 1] = '\n';
	errors_of(line, sizeof(line), &(struct permissions_options){0}, errors, sizeof(errors));
	assert_string_equal(errors, "1: line of more than 8192 bytes");
}

static void a_text_that_is_too_large_is_refused(void **state)
{
	AUTO(free_p) char *text = malloc(PERMISSIONS_TOTAL_MAX_BYTES + 1);
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	struct error err;

	(void)state;
	memset(text, '\n', PERMISSIONS_TOTAL_MAX_BYTES + 1);
	assert_fails(permissions_parse(text, PERMISSIONS_TOTAL_MAX_BYTES + 1,
				       &(struct permissions_options){0}, &p, &report, &err),
		     ERR_TOO_LARGE);
	assert_int_equal(permissions_parse(text, PERMISSIONS_TOTAL_MAX_BYTES,
					   &(struct permissions_options){0}, &p, &report, &err),
			 0);
	permissions_free(p);
	permissions_report_done(&report);
}

static void the_first_twenty_errors_are_kept_and_all_are_counted(void **state)
{
	AUTO(buf_done) struct buf text = {0};
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	struct error err;

	(void)state;
	assert_int_equal(buf_append_text(&text, PERMISSIONS, &err), 0);
	/* those of the first line show last */
	assert_int_equal(buf_append_text(&text, "group:none allow display\n", &err), 0);
	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(buf_append_text(&text, "pavel\n", &err), 0);
	assert_fails(permissions_parse(text.data, text.len, &(struct permissions_options){0}, &p,
				       &report, &err),
		     ERR_INVALID);
	assert_string_equal(err.message, "line 2: unknown group none");
	assert_int_equal(report.errors.n, PROBLEMS_MAX);
	assert_int_equal(report.errors.total, 31);
	for (unsigned i = 1; i < PROBLEMS_MAX; i++)
		assert_int_equal(report.errors.items[i].line, i + 2);
	permissions_report_done(&report);
}

static void features_of_newer_servers_can_be_tolerated(void **state)
{
	static const char text[] = ALIASES "new = display, hologram\n" PERMISSIONS
					   "pavel allow new mouse telepathy\n";
	const struct permissions_options options = {.tolerates_unknown_features = true};
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(permissions_parse(text, strlen(text), &options, &p, &report, &err), 0);
	assert_may(p, "pavel", "olga", "display mouse");
	assert_int_equal(report.warnings.total, 2);
	assert_int_equal(report.warnings.items[0].line, 2);
	assert_string_equal(report.warnings.items[1].text, "unknown feature telepathy");
	permissions_free(p);
	permissions_report_done(&report);
}

static void a_misspelt_actor_is_warned_of(void **state)
{
	static const char text[] = GROUPS "a = %any%\n" PERMISSIONS "%Owner% allow display\n";
	struct permissions_report report = {0};
	struct permissions *p = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(permissions_parse(text, strlen(text), &(struct permissions_options){0}, &p,
					   &report, &err),
			 0);
	assert_may(p, "olga", "olga", "");
	assert_int_equal(report.warnings.total, 2);
	assert_string_equal(report.warnings.items[1].text,
			    "%Owner% is taken for the name of a user");
	permissions_free(p);
	permissions_report_done(&report);
}

static void the_field_of_the_api_is_base64_of_a_limited_size(void **state)
{
	AUTO(free_p) char *text = malloc(PERMISSIONS_FILE_MAX_BYTES * 2);
	AUTO(buf_done) struct buf file = {0};
	struct error err;

	(void)state;
	assert_int_equal(permissions_decode("W3Blcm1pc3Npb25zXQ", &file, &err), 0);
	assert_string_equal(file.data, "[permissions]");
	assert_int_equal(permissions_decode("", &file, &err), 0);
	assert_fails(permissions_decode("no base64!", &file, &err), ERR_INVALID);
	assert_string_equal(err.message, "PermissionsFile is not valid base64");
	memset(text, 'A', PERMISSIONS_FILE_MAX_BYTES * 2);
	text[87384] = '\0'; /* 65538 bytes */
	assert_fails(permissions_decode(text, &file, &err), ERR_TOO_LARGE);
	assert_string_equal(err.message, "PermissionsFile is larger than 65536 bytes");
	text[87382] = '\0'; /* 65536 */
	assert_string_equal(file.data, "[permissions]");
	assert_int_equal(permissions_decode(text, &file, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_file_written_in_many_ways_is_the_same),
		cmocka_unit_test(names_are_taken_as_they_are),
		cmocka_unit_test(every_feature_and_every_rule_has_its_name),
		cmocka_unit_test(a_deny_is_final_for_owners_and_through_groups),
		cmocka_unit_test(the_line_that_decided_is_told),
		cmocka_unit_test(groups_of_the_system_are_named_once_each),
		cmocka_unit_test(nesting_has_no_limit),
		cmocka_unit_test(what_is_wrong_is_told_with_its_line),
		cmocka_unit_test(errors_come_in_the_order_of_the_text),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(a_text_that_is_too_large_is_refused),
		cmocka_unit_test(the_first_twenty_errors_are_kept_and_all_are_counted),
		cmocka_unit_test(features_of_newer_servers_can_be_tolerated),
		cmocka_unit_test(a_misspelt_actor_is_warned_of),
		cmocka_unit_test(the_field_of_the_api_is_base64_of_a_limited_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
