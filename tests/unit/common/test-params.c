#include <string.h>

#include "common/json.h"
#include "common/params.h"
#include "tests/unit/unit.h"

struct thing {
	const char *name, *kind, *note;
	bool on;
	long long count;
	json_t *ids, *arguments, *filters;
};

struct item {
	const char *key;
};

static const char *const kinds[] = {"SMALL", "LARGE", NULL};
static const struct param item_fields[] = {
	{"Key", .type = PARAM_STRING, .required = true, .offset = offsetof(struct item, key)},
};
static const struct param_table item_table = {item_fields, ARRAY_SIZE(item_fields),
					      sizeof(struct item)};

#define AT(field) .offset = offsetof(struct thing, field)
static const struct param fields[] = {
	{"Name", "OldName", PARAM_STRING, .required = true, .max = 5, AT(name)},
	{"Kind", .type = PARAM_CHOICE, .choices = kinds, AT(kind)},
	{"Note", .type = PARAM_STRING, AT(note)},
	{"On", .type = PARAM_BOOLEAN, AT(on)},
	{"Count", "Number", PARAM_INTEGER, .min = 1, .max = 10, AT(count)},
	{"Ids", .type = PARAM_STRINGS, AT(ids)},
	{"Arguments", .type = PARAM_TEXTS, AT(arguments)},
	{"Filters", .type = PARAM_OBJECTS, .sub = &item_table, AT(filters)},
};
static const struct param_table table = {fields, ARRAY_SIZE(fields), sizeof(struct thing)};

static json_t *parse(const char *text)
{
	json_t *value = NULL;
	struct error err;

	if (json_parse(text, strlen(text), &value, &err) < 0)
		fail_msg("%s", err.message);
	return value;
}

static void fields_are_filled_from_the_object(void **state)
{
	json_auto_t *object =
		parse("{\"Name\":\"\u00e9\u00e9\u00e9\u00e9\u00e9\",\"Kind\":\"large\","
		      "\"Note\":\"\",\"On\":true,\"Count\":10,\"Ids\":[\"a\"],"
		      "\"Arguments\":[\"\",\"b\"],\"Filters\":[{\"Key\":\"k\"}]}");
	struct thing thing;
	struct error err = {0};

	(void)state;
	assert_int_equal(params_read(&table, object, &thing, &err), 0);
	assert_string_equal(thing.name, "\u00e9\u00e9\u00e9\u00e9\u00e9");
	assert_string_equal(thing.kind, "LARGE");
	assert_string_equal(thing.note, "");
	assert_true(thing.on);
	assert_int_equal(thing.count, 10);
	assert_int_equal(json_array_size(thing.ids), 1);
	assert_int_equal(json_array_size(thing.arguments), 2);
	assert_int_equal(json_array_size(thing.filters), 1);
}

static void what_is_null_or_an_empty_list_was_not_given(void **state)
{
	static const char *const cases[] = {
		"{\"Name\":\"x\"}",
		"{\"Name\":\"x\",\"Kind\":null,\"Note\":null,\"On\":null,\"Count\":null,\"Ids\":"
		"null,"
		"\"Arguments\":null,\"Filters\":null}",
		"{\"Name\":\"x\",\"Ids\":[],\"Arguments\":[],\"Filters\":[]}",
	};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_auto_t *object = parse(cases[i]);
		struct thing thing;

		memset(&thing, 0xff, sizeof(thing));
		assert_int_equal(params_read(&table, object, &thing, &err), 0);
		assert_null(thing.kind);
		assert_null(thing.note);
		assert_false(thing.on);
		assert_int_equal(thing.count, 0);
		assert_null(thing.ids);
		assert_null(thing.arguments);
		assert_null(thing.filters);
	}
}

static void an_alias_is_read_and_the_canonical_name_wins(void **state)
{
	static const struct {
		const char *text, *name, *echo;
	} cases[] = {
		{"{\"OldName\":\"a\"}", "a", "{\"Name\":\"a\"}"},
		{"{\"OldName\":\"a\",\"Name\":\"b\"}", "b", "{\"Name\":\"b\"}"},
		{"{\"OldName\":\"a\",\"Name\":null}", "a", "{\"Name\":\"a\"}"},
		{"{\"Name\":\"a\",\"Number\":3,\"Ids\":[],\"Kind\":\"Small\"}", "a",
		 "{\"Name\":\"a\",\"Kind\":\"Small\",\"Count\":3,\"Ids\":[]}"},
	};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_auto_t *object = parse(cases[i].text), *echo = params_echo(&table, object);
		AUTO(buf_done) struct buf text = {0};
		struct thing thing;

		assert_int_equal(params_read(&table, object, &thing, &err), 0);
		assert_string_equal(thing.name, cases[i].name);
		assert_int_equal(json_append(&text, echo, &err), 0);
		assert_string_equal(text.data, cases[i].echo);
	}
}

static void a_wrong_field_is_refused_by_name(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"[]", "expected a JSON object"},
		{"null", "expected a JSON object"},
		{"{}", "Name is required"},
		{"{\"Name\":null}", "Name is required"},
		{"{\"Name\":\"\"}", "Name must not be blank"},
		{"{\"Name\":\" \\t\\n\"}", "Name must not be blank"},
		{"{\"Name\":5}", "Name must be a string"},
		{"{\"OldName\":5}", "Name must be a string"},
		{"{\"Name\":\"abcdef\"}", "Name must have at most 5 characters"},
		{"{\"name\":\"x\"}", "Unrecognized field \"name\""},
		{"{\"Name\":\"x\",\"MaxWidth\":1}", "Unrecognized field \"MaxWidth\""},
		{"{\"Name\":\"x\",\"\":1}", "Unrecognized field \"\""},
		{"{\"Name\":\"x\",\"Kind\":\"medium\"}", "Kind must be one of SMALL, LARGE"},
		{"{\"Name\":\"x\",\"Kind\":1}", "Kind must be one of SMALL, LARGE"},
		{"{\"Name\":\"x\",\"On\":1}", "On must be true or false"},
		{"{\"Name\":\"x\",\"On\":\"true\"}", "On must be true or false"},
		{"{\"Name\":\"x\",\"Count\":\"5\"}", "Count must be an integer"},
		{"{\"Name\":\"x\",\"Count\":5.0}", "Count must be an integer"},
		{"{\"Name\":\"x\",\"Count\":0}", "Count must be between 1 and 10"},
		{"{\"Name\":\"x\",\"Number\":11}", "Count must be between 1 and 10"},
		{"{\"Name\":\"x\",\"Ids\":\"a\"}", "Ids must be an array"},
		{"{\"Name\":\"x\",\"Ids\":{}}", "Ids must be an array"},
		{"{\"Name\":\"x\",\"Ids\":[\"a\",null]}", "Ids must contain strings only"},
		{"{\"Name\":\"x\",\"Ids\":[\"\"]}", "Ids must not contain empty strings"},
		{"{\"Name\":\"x\",\"Arguments\":[1]}", "Arguments must contain strings only"},
		{"{\"Name\":\"x\",\"Filters\":[1]}", "Filters: expected a JSON object"},
		{"{\"Name\":\"x\",\"Filters\":[{}]}", "Filters: Key is required"},
		{"{\"Name\":\"x\",\"Filters\":[{\"Key\":\"a\",\"X\":1}]}",
		 "Filters: Unrecognized field \"X\""},
	};
	struct thing thing;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_auto_t *object = parse(cases[i].text);

		assert_fails(params_read(&table, object, &thing, &err), ERR_INVALID);
		assert_string_equal(err.message, cases[i].message);
	}
}

static const struct param plain_fields[] = {
	{"Name", "OldName", PARAM_STRING, .required = true, .max = 5, AT(name)},
	{"Kind", .type = PARAM_CHOICE, .choices = kinds, AT(kind)},
	{"On", .type = PARAM_BOOLEAN, AT(on)},
	{"Count", .type = PARAM_INTEGER, .min = 1, .max = 10, AT(count)},
	{"Ids", .type = PARAM_STRINGS, AT(ids)},
};
static const struct param_table plain_table = {plain_fields, ARRAY_SIZE(plain_fields),
					       sizeof(struct thing)};

static void a_plain_object_is_read_out_of_its_text(void **state)
{
	char text[] = " {\"OldName\" :\"a b\",\n\"Kind\": \"large\",\"On\":true , \"Count\":10},";
	struct thing thing;

	(void)state;
	assert_int_equal(params_scan(&plain_table, text + 1, &thing), sizeof(text) - 3);
	assert_string_equal(thing.name, "a b");
	assert_string_equal(thing.kind, "LARGE");
	assert_true(thing.on);
	assert_int_equal(thing.count, 10);
	assert_null(thing.ids);
}

static void what_is_not_plain_is_left_to_the_parser(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"{\"Name\":\"a\"",
		"{\"Name\":\"a\",}",
		"{\"Name\":\"a\" \"On\":true}",
		"{\"Name\" \"a\"}",
		"{\"Name\":\"a}",
		"{\"Name\":a}",
		"{\"Name\":\"a\",\"Name\":\"a\"}",
		"{\"Name\":\"a\",\"OldName\":\"a\"}",
		"{\"Name\":\"a\",\"Other\":\"a\"}",
		"{\"Name\":\"\\u0061\"}",
		"{\"Name\":\"\u00e9\"}",
		"{\"Name\":\"\n\"}",
		"{\"Name\":\" \"}",
		"{\"Name\":\"abcdef\"}",
		"{\"Name\":null}",
		"{\"Name\":5}",
		"{\"Name\":\"a\",\"Kind\":\"HUGE\"}",
		"{\"Name\":\"a\",\"On\":truest}",
		"{\"Name\":\"a\",\"On\":\"true\"}",
		"{\"Name\":\"a\",\"Count\":0}",
		"{\"Name\":\"a\",\"Count\":11}",
		"{\"Name\":\"a\",\"Count\":01}",
		"{\"Name\":\"a\",\"Count\":-1}",
		"{\"Name\":\"a\",\"Count\":1.0}",
		"{\"Name\":\"a\",\"Count\":1e0}",
		"{\"Name\":\"a\",\"Count\":99999999999999999999}",
		"{\"Name\":\"a\",\"Count\":1",
		"{\"Name\":\"a\",\"Ids\":[\"a\"]}",
		"{\"Count\":1}",
	};
	struct thing thing;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO(free_p) char *text = strdup(texts[i]);

		if (params_scan(&plain_table, text, &thing) != 0)
			fail_msg("%s", texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_filled_from_the_object),
		cmocka_unit_test(what_is_null_or_an_empty_list_was_not_given),
		cmocka_unit_test(an_alias_is_read_and_the_canonical_name_wins),
		cmocka_unit_test(a_wrong_field_is_refused_by_name),
		cmocka_unit_test(a_plain_object_is_read_out_of_its_text),
		cmocka_unit_test(what_is_not_plain_is_left_to_the_parser),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
