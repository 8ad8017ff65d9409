#include "agent/conf-edit.h"

#include "tests/unit/agent/fixture.h"

#define ADDED "broker_host = 'b.example'\nbroker_port = 8445\nca_file = '/etc/ca.pem'\n"

static const struct conf_wish wish = {"b.example", 8445, "/etc/ca.pem"};

static void assert_edit(const char *before, const char *after)
{
	struct folder folder;
	struct buf text = {0};
	struct error err = {0};

	folder_make(&folder);
	if (conf_edit(put(&folder, "agent.conf", before), &wish, &text, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(text.data, after);
	buf_done(&text);
	folder_remove(&folder);
}

static void assert_conflict(const char *before, const char *what)
{
	struct folder folder;
	struct buf text = {0};
	struct error err = {0};

	folder_make(&folder);
	assert_int_equal(conf_edit(put(&folder, "agent.conf", before), &wish, &text, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	if (!strstr(err.message, what))
		fail_msg("'%s' does not tell '%s'", err.message, what);
	assert_null(text.data);
	folder_remove(&folder);
}

static void what_is_missing_comes_behind_the_head_of_its_table(void **state)
{
	(void)state;
	assert_edit("version = '0.1'\n\n[log]\nlevel = 'info'\n\n [ agent ] # here\nx = 1\n",
		    "version = '0.1'\n\n[log]\nlevel = 'info'\n\n [ agent ] # here\n" ADDED
		    "x = 1\n");
	assert_edit("[agent]", "[agent]\n" ADDED);
	assert_edit("[agents]\n", "[agents]\n\n[agent]\n" ADDED);
	assert_edit("# [agent]\n", "# [agent]\n\n[agent]\n" ADDED);
	/* another table for those who read the settings */
	assert_edit("[Agent]\nbroker_port = 1\n", "[Agent]\nbroker_port = 1\n\n[agent]\n" ADDED);
}

static void a_file_without_the_table_gets_it(void **state)
{
	struct buf text = {0};
	struct error err = {0};

	(void)state;
	assert_edit("version = '0.1'", "version = '0.1'\n\n[agent]\n" ADDED);
	assert_edit("", "version = '0.1'\n\n[agent]\n" ADDED);
	assert_int_equal(conf_edit("/no/such/agent.conf", &wish, &text, &err), 0);
	assert_string_equal(text.data, "version = '0.1'\n\n[agent]\n" ADDED);
	buf_done(&text);
}

static void keys_with_a_dot_stay_before_every_table(void **state)
{
	(void)state;
	assert_edit("agent.geometry = '1x1'\n[log]\n",
		    "agent.broker_host = 'b.example'\nagent.broker_port = 8445\n"
		    "agent.ca_file = '/etc/ca.pem'\nagent.geometry = '1x1'\n[log]\n");
}

static void what_is_there_already_is_left_alone(void **state)
{
	(void)state;
	assert_edit("[agent]\nBroker-Host = \"B.example\"\nbroker_port = 8445\nca_file = "
		    "'/etc/ca.pem'\n",
		    "[agent]\nBroker-Host = \"B.example\"\nbroker_port = 8445\nca_file = "
		    "'/etc/ca.pem'\n");
	assert_edit("[log]\nca_file = '/x'\n[agent]\nbroker_port = 8445\n",
		    "[log]\nca_file = '/x'\n[agent]\nbroker_host = 'b.example'\n"
		    "ca_file = '/etc/ca.pem'\nbroker_port = 8445\n");
}

static void what_says_something_else_is_not_overwritten(void **state)
{
	(void)state;
	assert_conflict("[agent]\nbroker_host = 'a.example'\n",
			"line 2: broker_host is 'a.example'. Make it 'b.example'");
	assert_conflict("agent.broker_port = 1\n", "line 1: broker_port is '1'");
	assert_conflict("[agent]\nca_file = '/etc/CA.pem'\n", "ca_file is '/etc/CA.pem'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_missing_comes_behind_the_head_of_its_table),
		cmocka_unit_test(a_file_without_the_table_gets_it),
		cmocka_unit_test(keys_with_a_dot_stay_before_every_table),
		cmocka_unit_test(what_is_there_already_is_left_alone),
		cmocka_unit_test(what_says_something_else_is_not_overwritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
