#include "agent/admission.h"

#include "tests/unit/agent/fixture.h"

#define YES "<auth result=\"yes\"><username>"
#define END "</username></auth>"

static void assert_verdict(const char *text, const char *expected)
{
	struct error err = {0};
	AUTO(free_p) char *user = admission_read_verdict(text, &err);

	assert_non_null(user);
	assert_string_equal(user, expected);
}

static void a_verdict_names_the_user_that_is_let_in(void **state)
{
	(void)state;
	assert_verdict(YES "mira" END, "mira");
	assert_verdict(YES "&lt;a&gt; &amp;lt; &quot;&apos;" END, "<a> &lt; \"'");
	assert_verdict(YES "&nbsp;&" END, "&nbsp;&");
}

static void everything_else_lets_nobody_in(void **state)
{
	static const char *const texts[] = {
		"",
		"yes",
		"<auth result=\"no\"><message>x</message></auth>",
		"<auth result=\"no\">" YES "mira" END,
		YES END,
		YES "mira",
		YES "mira</username>",
		YES "mira" END "x",
		YES "mira<b>" END,
		" " YES "mira" END,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct error err = {0};

		assert_null(admission_read_verdict(texts[i], &err));
		assert_true(err.code == ERR_UNAUTHORIZED || err.code == ERR_INVALID);
	}
}

static void a_token_of_either_kind_says_its_session(void **state)
{
	static const struct token_key key = {"0123456789abcdef0123456789abcdef"};
	struct error err = {0};
	AUTO(free_p) char *own = token_make(&key, "s1", "mira", 0, &err);
	AUTO(free_p) char *id = admission_session_of(own, &err);
	/* {"alg":"none"} . {"sid":"s2"} . x */
	AUTO(free_p)
	char *foreign = admission_session_of("eyJhbGciOiJub25lIn0.eyJzaWQiOiJzMiJ9.x", &err);

	(void)state;
	assert_string_equal(id, "s1");
	assert_string_equal(foreign, "s2");
}

static void what_is_no_token_says_no_session(void **state)
{
	static const char *const texts[] = {"",      ".",   "..",         "x",   "a.b.c",
					    "e30.x", "!.!", "bnVsbA.sig", ".e30"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct error err = {0};

		assert_null(admission_session_of(texts[i], &err));
		assert_int_equal(err.code, ERR_UNAUTHORIZED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verdict_names_the_user_that_is_let_in),
		cmocka_unit_test(everything_else_lets_nobody_in),
		cmocka_unit_test(a_token_of_either_kind_says_its_session),
		cmocka_unit_test(what_is_no_token_says_no_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
