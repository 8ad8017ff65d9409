#include "common/http-form.h"
#include "tests/unit/unit.h"

static void a_value_is_found_by_its_name_and_decoded(void **state)
{
	static const struct {
		const char *form, *name, *value;
	} cases[] = {
		{"a=1", "a", "1"},
		{"a=1&b=2", "b", "2"},
		{"aa=1&a=2", "a", "2"},
		{"a=", "a", ""},
		{"a=1&a=2", "a", "1"},
		{"&&a=1", "a", "1"},
		{"a=x+y%20z%2Fq%c3%a9", "a", "x y z/q\u00e9"},
		{"a=b=c", "a", "b=c"},
		{"a=%zz%4&b=1", "a", "%zz%4"},
		{"a=%", "a", "%"},
		{"a=x%00y", "a", "x%00y"},
		{"", "a", NULL},
		{"a", "a", NULL},
		{"A=1", "a", NULL},
		{"b=1&", "a", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(free_p) char *value = http_form_value(cases[i].form, cases[i].name);

		if (!cases[i].value) {
			assert_null(value);
			continue;
		}
		assert_non_null(value);
		assert_string_equal(value, cases[i].value);
	}
}

static void what_is_encoded_is_decoded_to_the_same_bytes(void **state)
{
	AUTO(buf_done) struct buf form = {0};
	AUTO(free_p) char *value = NULL;
	char every[256];
	struct error err;

	(void)state;
	for (int i = 1; i < 256; i++)
		every[i - 1] = (char)i;
	every[255] = '\0';
	assert_int_equal(buf_append_text(&form, "a=", &err), 0);
	assert_int_equal(http_percent_append(&form, every, &err), 0);
	value = http_form_value(form.data, "a");
	assert_string_equal(value, every);
	buf_truncate(&form, 0);
	assert_int_equal(http_percent_append(&form, "a/\xff -._~", &err), 0);
	assert_string_equal(form.data, "a%2F%FF%20-._~");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_found_by_its_name_and_decoded),
		cmocka_unit_test(what_is_encoded_is_decoded_to_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
