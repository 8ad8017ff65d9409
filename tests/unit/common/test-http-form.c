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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_found_by_its_name_and_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
