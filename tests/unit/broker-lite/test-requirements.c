#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker-lite/requirements.h"
#include "common/cleanup.h"
#include "tests/naive-requirements.h"

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
	struct attributes attributes;
	struct error err = {0};
	size_t row = ATTRIBUTES_NO_ROW;
	const uint64_t *bits;
	int result = 1;

	if (requirements_parse(text, &requirements, &err) < 0) {
		assert_int_equal(strncmp(err.message, "Invalid requirements: ", 22), 0);
		return -1;
	}
	attributes_init(&attributes);
	assert_int_equal(attributes_set(&attributes, &row, object, &err), 0);
	if (requirements) {
		assert_int_equal(requirements_match(requirements, &attributes, row, 1, &bits, &err),
				 0);
		result = requirements_bit(bits, row);
		assert_int_equal(result, naive_requirements_hold(text, object));
	}
	requirements_free(requirements);
	attributes_done(&attributes);
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
		{"tag:dcv:='x'", 0},
		{"tag:town:='''Aq'", 1},
		{"tag:dcv:max-virtual-sessions = 10.0", 1},
		{"tag:dcv:max-virtual-sessions = '10.0'", 0},
		{"tag:dcv:max-virtual-sessions <= 1e1", 1},
		{"tag:color < 'e'", 1},
		{"tag:color >= 'dark red'", 1},
		{"tag:color > 'dark red'", 0},
		{"server:Host.CpuInfo.NumberOfCpus < 4.5", 1},
		{"server:Host.CpuInfo.NumberOfCpus > 3.5 and server:Host.CpuInfo.NumberOfCpus<=+4",
		 1},
		{"server:Host.CpuInfo.NumberOfCpus > -1", 1},
		{"server:Host.CpuInfo.NumberOfCpus = -4", 0},
		{"server:Host.CpuInfo.NumberOfCpus < 1e999", 1},
		{"server:Host.CpuInfo.NumberOfCpus > 99999999999999999999", 0},
		{"server:Host.Memory.UsedBytes != 1", 1},
		{"server:Host.Memory.UsedBytes < 1e300", 0},
		{"server:Host.CpuLoadAverage.OneMinute >= 0", 0},
		{"not server:Host.CpuLoadAverage.OneMinute >= 0", 1},
		{"server:Host.Memory.TotalBytes <= 9007199254740992", 0},
		{"server:Host.Memory.TotalBytes <= 9007199254740992.0", 1},
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

/* --- against a plain reading, over a fleet -----------------------------------------------------
 */

#define N_SERVERS 200

static unsigned long long state_of_random = 20261121;

static unsigned pick(unsigned n)
{
	state_of_random = state_of_random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(state_of_random >> 33) % n;
}

static const char *const values[] = {"a", "b", "ab", "10", "9", "1e1", "10.0", "", "L'A", "-3"};

static json_t *random_server(void)
{
	static const char *const keys[] = {"a", "b", "c", "dcv:x-y"};
	json_t *object = json_pack("{s:s,s:[]}", "Id", values[pick(10)], "Tags");
	json_t *host = json_object(), *memory = json_object(), *load = json_object();

	for (size_t i = 0; i < 4; i++) {
		if (pick(3) > 0)
			(void)json_array_append_new(
				json_object_get(object, "Tags"),
				json_pack("{s:s,s:s}", "Key", keys[i], "Value", values[pick(10)]));
	}
	if (pick(3) > 0)
		(void)json_object_set_new(memory, "TotalBytes", json_integer(pick(12)));
	if (pick(3) > 0)
		(void)json_object_set_new(load, "OneMinute", json_real(pick(12) / 2.0));
	(void)json_object_set_new(host, "Memory", memory);
	(void)json_object_set_new(host, "CpuLoadAverage", load);
	(void)json_object_set_new(object, "Host", host);
	return object;
}

static void append_leaf(struct buf *text)
{
	static const char *const numbers[] = {"10", "9.5", "-1", "0", "1e1", "+3", "4", "5.0"};
	static const char *const operands[] = {"tag:a",
					       "tag:b",
					       "tag:c",
					       "tag:dcv:x-y",
					       "server:Id",
					       "server:Host.Memory.TotalBytes",
					       "server:Host.CpuLoadAverage.OneMinute"};
	static const char *const operators[] = {"=", "!=", "<", "<=", ">", ">=", ":="};
	unsigned operand = pick(7);
	bool is_number = pick(2), is_numeric = operand > 4;
	struct error err;

	(void)buf_printf(text, &err, "%s %s ", operands[operand],
			 operators[pick(is_number || is_numeric ? 6 : 7)]);
	if (is_number)
		(void)buf_append_text(text, numbers[pick(8)], &err);
	else if (is_numeric)
		(void)buf_printf(text, &err, "'%s'", numbers[pick(8)]);
	else
		(void)buf_printf(text, &err, "'%s'", pick(10) ? values[pick(8)] : "L''A");
}

static void append_random(struct buf *text, unsigned depth)
{
	static const char *const words[] = {" and ", " or ", " AND NOT "};
	struct error err;

	if (depth == 0 || pick(3) == 0) {
		append_leaf(text);
		return;
	}
	for (unsigned i = 0, n = 1 + pick(3); i <= n; i++) {
		unsigned word = pick(3);
		bool is_negated = i > 0 && word == 2;

		(void)buf_append_text(text, i > 0 ? words[word] : "", &err);
		(void)buf_append_text(text, is_negated || pick(4) > 0 ? "(" : "not(", &err);
		append_random(text, depth - 1);
		(void)buf_append_text(text, ")", &err);
	}
}

static void compare(const char *text, struct attributes *attributes, json_t **objects,
		    const size_t *rows)
{
	struct requirements *requirements = NULL;
	struct error err = {0};
	const uint64_t *bits;
	size_t first = pick(N_SERVERS), n = pick((unsigned)(attributes->n_rows - first)) + 1;

	if (requirements_parse(text, &requirements, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	assert_int_equal(
		requirements_match(requirements, attributes, 0, attributes->n_rows, &bits, &err),
		0);
	for (size_t i = 0; i < N_SERVERS; i++) {
		if (requirements_bit(bits, rows[i]) != naive_requirements_hold(text, objects[i]))
			fail_msg("%s: server %zu", text, i);
	}
	assert_int_equal(requirements_match(requirements, attributes, first, n, &bits, &err), 0);
	for (size_t i = 0; i < N_SERVERS; i++) {
		if (rows[i] >= first && rows[i] < first + n &&
		    requirements_bit(bits, rows[i]) != naive_requirements_hold(text, objects[i]))
			fail_msg("%s: server %zu alone", text, i);
	}
	requirements_free(requirements);
}

static void a_fleet_in_columns_matches_as_server_by_server(void **state)
{
	struct attributes attributes;
	json_t *objects[N_SERVERS];
	size_t rows[N_SERVERS];
	struct error err;

	(void)state;
	attributes_init(&attributes);
	for (size_t i = 0; i < N_SERVERS; i++) {
		objects[i] = random_server();
		rows[i] = ATTRIBUTES_NO_ROW;
		assert_int_equal(attributes_set(&attributes, &rows[i], objects[i], &err), 0);
	}
	for (unsigned round = 0; round < 2000; round++) {
		struct buf text = {0};
		size_t changed = pick(N_SERVERS);

		append_random(&text, 3);
		compare(text.data, &attributes, objects, rows);
		buf_done(&text);
		/* One reports something new, and sometimes gets another row. */
		json_decref(objects[changed]);
		objects[changed] = random_server();
		if (pick(2))
			attributes_clear(&attributes, &rows[changed]);
		assert_int_equal(
			attributes_set(&attributes, &rows[changed], objects[changed], &err), 0);
	}
	for (size_t i = 0; i < N_SERVERS; i++) {
		json_decref(objects[i]);
		attributes_clear(&attributes, &rows[i]);
	}
	attributes_done(&attributes);
}

static void more_tags_than_there_are_columns_for_are_compared_too(void **state)
{
	struct attributes attributes;
	json_auto_t *object = json_pack("{s:[{s:s,s:s}]}", "Tags", "Key", "k7", "Value", "yes");
	struct requirements *requirements;
	size_t row = ATTRIBUTES_NO_ROW;
	struct buf text = {0};
	struct error err;
	const uint64_t *bits;

	(void)state;
	attributes_init(&attributes);
	assert_int_equal(attributes_set(&attributes, &row, object, &err), 0);
	for (int i = 0; i < 3 * ATTRIBUTES_TAG_COLUMNS; i++)
		(void)buf_printf(&text, &err, "%stag:k%d = 'yes'", i ? " or " : "", i);
	assert_int_equal(requirements_parse(text.data, &requirements, &err), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(requirements_match(requirements, &attributes, row, 1, &bits, &err),
				 0);
		assert_true(requirements_bit(bits, row));
	}
	assert_int_equal(attributes.n_tag_columns, ATTRIBUTES_TAG_COLUMNS);
	requirements_free(requirements);
	attributes_done(&attributes);
	buf_done(&text);
}

static void what_does_not_hold_is_told_with_the_value(void **state)
{
	json_auto_t *object = server();
	struct requirements *requirements;
	struct attributes attributes;
	struct buf text = {0};
	struct error err;
	size_t row = ATTRIBUTES_NO_ROW;

	(void)state;
	attributes_init(&attributes);
	assert_int_equal(attributes_set(&attributes, &row, object, &err), 0);
	assert_int_equal(requirements_parse("tag:color='red' and (tag:none = 1 or "
					    "server:Host.CpuInfo.NumberOfCpus > 4) and "
					    "server:Id = 'Y2Fk='",
					    &requirements, &err),
			 0);
	assert_int_equal(requirements_explain(requirements, &attributes, row, &text, &err), 0);
	assert_string_equal(text.data, "tag:color='red' (has 'dark red'), tag:none = 1 (has "
				       "nothing), server:Host.CpuInfo.NumberOfCpus > 4 (has 4)");
	buf_done(&text);
	requirements_free(requirements);
	attributes_done(&attributes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparisons_follow_the_tables),
		cmocka_unit_test(what_is_not_in_the_grammar_is_refused),
		cmocka_unit_test(nesting_and_length_are_bounded),
		cmocka_unit_test(the_spot_is_named),
		cmocka_unit_test(a_fleet_in_columns_matches_as_server_by_server),
		cmocka_unit_test(more_tags_than_there_are_columns_for_are_compared_too),
		cmocka_unit_test(what_does_not_hold_is_told_with_the_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
