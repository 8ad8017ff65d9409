#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker-lite/requirements.h"
#include "common/cleanup.h"

static json_t *server(void)
{
	return json_pack("{s:s,s:[{s:s,s:s},{s:s,s:s},{s:s,s:s}],s:{s:{s:s},s:{s:I},s:{s:i}}}",
			 "Id", "Y2Fk=", "Tags", "Key", "color", "Value", "dark red", "Key", "town",
			 "Value", "L'Aquila", "Key", "dcv:max-virtual-sessions", "Value", "10",
			 "Host", "Os", "Family", "linux", "Memory", "TotalBytes",
			 (json_int_t)9007199254740993, "CpuInfo", "NumberOfCpus", 4);
}

/* 1 it holds, 0 it does not, -1 it is refused */
static int verdict(const char *text)
{
	json_auto_t *object = server();
	struct requirements *requirements = NULL;
	struct error err = {0};
	int result;

	if (requirements_parse(text, &requirements, &err) < 0) {
		assert_int_equal(strncmp(err.message, "Invalid requirements: ", 22), 0);
		return -1;
	}
	result = requirements ? requirements_hold(requirements, object) : 1;
	requirements_free(requirements);
	return result;
}

static void comparisons_follow_the_tables(void **state)
{
	static const struct {
		const char *text;
		int expected;
	} cases[] = {
		{"", 1},
		{" \t\n", 1},
		{"tag:color = 'pink' and (server:Host.Os.Family = 'windows' or tag:color := 'red')",
		 0},
		{"tag:color = 'pink' or (server:Host.Os.Family = 'linux' and tag:color := 'red')",
		 1},
		{"server:Host.CpuInfo.NumberOfCpus>=2", 1},
		{"server:Host.CpuInfo.NumberOfCpus >= '2'", 1},
		{"server:Host.Memory.TotalBytes > 1024E6", 1},
		{"server:Host.Memory.TotalBytes = 9007199254740993", 1},
		{"server:Host.Memory.TotalBytes = 9007199254740992", 0},
		{"tag:town = 'L''Aquila'", 1},
		{"server:Id = 'Y2Fk='", 1},
		{"NOT (tag:a = '1' OR tag:b = '2') and not tag:c = '3'", 1},
		{"tag:dcv:max-virtual-sessions > 4", 1},
		{"tag:dcv:max-virtual-sessions > '9'", 1},
		{"tag:color > 4", 0},
		{"tag:color != 4", 1},
		{"tag:none != 'x'", 1},
		{"tag:none = 'x'", 0},
		{"server:Host.Aws.Ec2InstanceType = 't2'", 0},
		{"server:Host.Aws.EC2InstanceType != 't2'", 1},
		{"not tag:color = 'dark red'", 0},
		{"tag:x = 1 or tag:color = 'dark red' and tag:y = 1", 0},
		{"tag:color='dark red'or tag:x=1", 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (verdict(cases[i].text) != cases[i].expected)
			fail_msg("%s", cases[i].text);
	}
}

static void what_is_not_in_the_grammar_is_refused(void **state)
{
	static const char *const cases[] = {
		"test",
		"tag:",
		"server:",
		"tag:test = 1)",
		"(tag:test = 1",
		"tag:test > 'x')",
		"server:Host.Os.Family = windows",
		"tag:my-tag = 'x'",
		"'a' = tag:b",
		"tag:a = 'x' tag:b = 'y'",
		"tag:test := 1",
		"server:test = 'x'",
		"server:host.os.family = 'linux'",
		"server:Tags.color = 'x'",
		"ram_gb = '4'",
		"tag: x = 1",
		"not not tag:x = 1",
		"tag:a = .5",
		"tag:a = 1.",
		"tag:a = 0x10",
		"tag:a = 'x",
		"tag:a = \"x\"",
		"server:Host.CpuInfo.NumberOfCpus = 'four'",
		"server:Host.CpuInfo.NumberOfCpus := '4'",
		"tag:a ='x' and",
		"and",
		"()",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (verdict(cases[i]) != -1)
			fail_msg("%s", cases[i]);
	}
}

static void nesting_and_length_are_bounded(void **state)
{
	char text[9000];

	(void)state;
	for (int depth = 64; depth <= 65; depth++) {
		memset(text, '(', (size_t)depth);
		(void)strcpy(text + depth, "tag:a!='1'");
		memset(text + depth + 10, ')', (size_t)depth);
		text[2 * depth + 10] = '\0';
		assert_int_equal(verdict(text), depth == 64 ? 1 : -1);
	}
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	text[0] = 'x';
	assert_int_equal(verdict(text), -1);
}

static void the_spot_is_named(void **state)
{
	struct requirements *requirements;
	struct error err = {0};

	(void)state;
	assert_int_equal(requirements_parse("not server:Host.Gpu = 'x'", &requirements, &err), -1);
	assert_string_equal(err.message, "Invalid requirements: unknown server property "
					 "'server:Host.Gpu' at position 5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparisons_follow_the_tables),
		cmocka_unit_test(what_is_not_in_the_grammar_is_refused),
		cmocka_unit_test(nesting_and_length_are_bounded),
		cmocka_unit_test(the_spot_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
