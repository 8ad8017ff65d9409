#include <string.h>

#include "broker-lite/claims.h"
#include "common/json.h"
#include "tests/unit/unit.h"

#define NOW 1000000

static json_t *parse(const char *text)
{
	json_t *claims = NULL;
	struct error err = {0};

	assert_int_equal(json_parse(text, strlen(text), &claims, &err), 0);
	return claims;
}

static void times_have_a_minute_of_leeway_and_are_numbers(void **state)
{
	static const struct {
		const char *claims;
		int result;
	} cases[] = {
		{"{\"exp\":1000001}", 0},
		{"{\"exp\":999940}", 0},
		{"{\"exp\":999939}", -1},
		{"{\"exp\":999940.9}", 0},
		{"{}", -1},
		{"{\"exp\":null}", -1},
		{"{\"exp\":\"1000001\"}", -1},
		{"{\"exp\":true}", -1},
		{"{\"exp\":9223372036854775807}", -1},
		{"{\"exp\":-9223372036854775808}", -1},
		{"{\"exp\":1e308}", -1},
		{"{\"exp\":1000001,\"nbf\":1000060}", 0},
		{"{\"exp\":1000001,\"nbf\":1000061}", -1},
		{"{\"exp\":1000001,\"nbf\":[]}", -1},
		{"{\"exp\":1000001,\"iat\":1000060}", 0},
		{"{\"exp\":1000001,\"iat\":1000061}", -1},
		{"{\"exp\":1000001,\"iat\":null}", -1},
		{"{\"exp\":1000001,\"iat\":1,\"nbf\":0}", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_auto_t *claims = parse(cases[i].claims);
		long long expires_s = 0;
		struct error err = {0};

		if (claims_check_times(claims, NOW, &expires_s, &err) != cases[i].result)
			fail_msg("%s: %s", cases[i].claims, err.message);
		if (cases[i].result == 0)
			assert_in_range(expires_s, 999940, 1000001);
		else
			assert_int_equal(err.code, ERR_UNAUTHORIZED);
	}
}

static void rules_that_are_given_are_checked(void **state)
{
	static const struct {
		const char *claims;
		struct claims_rules rules;
		enum error_code code;
	} cases[] = {
		{"{}", {NULL, NULL, NULL}, ERR_NONE},
		{"{\"iss\":\"i\"}", {"i", NULL, NULL}, ERR_NONE},
		{"{\"iss\":\"i/\"}", {"i", NULL, NULL}, ERR_UNAUTHORIZED},
		{"{\"iss\":[\"i\"]}", {"i", NULL, NULL}, ERR_UNAUTHORIZED},
		{"{}", {"i", NULL, NULL}, ERR_UNAUTHORIZED},
		{"{\"iss\":\"x\",\"aud\":\"x\"}", {"i", "a", NULL}, ERR_UNAUTHORIZED},
		{"{\"aud\":\"a\"}", {NULL, "a", NULL}, ERR_NONE},
		{"{\"aud\":[\"b\",\"a\"]}", {NULL, "a", NULL}, ERR_NONE},
		{"{\"aud\":\"a b\"}", {NULL, "a b", NULL}, ERR_NONE},
		{"{\"aud\":\"a b\"}", {NULL, "a", NULL}, ERR_DENIED},
		{"{\"aud\":{\"a\":1}}", {NULL, "a", NULL}, ERR_DENIED},
		{"{\"aud\":[1,null]}", {NULL, "a", NULL}, ERR_DENIED},
		{"{\"scope\":\"  a  b \"}", {NULL, NULL, "b a"}, ERR_NONE},
		{"{\"scope\":\"ab\"}", {NULL, NULL, "a"}, ERR_DENIED},
		{"{\"scope\":\"\"}", {NULL, NULL, "a"}, ERR_DENIED},
		{"{\"scope\":[\"a\"],\"scp\":\"b\"}", {NULL, NULL, "a b"}, ERR_NONE},
		{"{\"scp\":[\"a b\"]}", {NULL, NULL, "a"}, ERR_DENIED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_auto_t *claims = parse(cases[i].claims);
		struct error err = {0};

		(void)claims_check_rules(claims, &cases[i].rules, &err);
		if (err.code != cases[i].code)
			fail_msg("%s: %s", cases[i].claims, err.message);
	}
}

static void a_client_is_called_what_its_token_says(void **state)
{
	json_auto_t *all = parse("{\"sub\":\"s\",\"azp\":\"z\",\"client_id\":\"c\"}");
	json_auto_t *two = parse("{\"sub\":\"s\",\"azp\":\"z\",\"client_id\":\"\"}");
	json_auto_t *one = parse("{\"sub\":\"s\",\"azp\":5}");
	json_auto_t *none = parse("{}");

	(void)state;
	assert_string_equal(claims_client_name(all), "c");
	assert_string_equal(claims_client_name(two), "z");
	assert_string_equal(claims_client_name(one), "s");
	assert_string_equal(claims_client_name(none), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_have_a_minute_of_leeway_and_are_numbers),
		cmocka_unit_test(rules_that_are_given_are_checked),
		cmocka_unit_test(a_client_is_called_what_its_token_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
