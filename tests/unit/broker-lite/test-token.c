#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker-lite/token.h"
#include "common/cleanup.h"
#include "common/json.h"

static void key_p(struct token_key **key)
{
	token_key_free(*key);
}

static void a_token_is_good_for_its_purpose_and_time(void **state)
{
	AUTO(key_p) struct token_key *key = NULL;
	AUTO(key_p) struct token_key *other = NULL;
	AUTO(key_p) struct token_key *same = NULL;
	AUTO(buf_done) struct buf token = {0};
	AUTO(buf_done) struct buf old = {0};
	AUTO(buf_done) struct buf text = {0};
	json_auto_t *claims = json_pack("{s:s}", "sub", "mira");
	json_t *found = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(token_key_make(&key, &err), 0);
	assert_int_equal(token_key_make(&other, &err), 0);
	assert_int_equal(token_key_write(key, &text, &err), 0);
	assert_int_equal(token_key_read(&same, text.data, &err), 0);
	assert_int_equal(token_sign(key, claims, "api", 3600, &token, &err), 0);
	assert_true(token_has_form(token.data));
	assert_int_equal(token_verify(same, token.data, "api", &found, &err), 0);
	assert_string_equal(json_get_text(found, "sub"), "mira");
	json_decref(found);
	assert_int_equal(token_verify(key, token.data, "agent", &found, &err), -1);
	assert_int_equal(token_verify(other, token.data, "api", &found, &err), -1);
	token.data[token.len - 5] ^= 1;
	assert_int_equal(token_verify(key, token.data, "api", &found, &err), -1);
	assert_int_equal(token_sign(key, claims, "api", -61, &old, &err), 0);
	assert_int_equal(token_verify(key, old.data, "api", &found, &err), -1);
	assert_string_equal(err.message, "expired");
}

static void texts_that_are_no_tokens_have_no_form(void **state)
{
	(void)state;
	assert_false(token_has_form(""));
	assert_false(token_has_form("a.b"));
	assert_false(token_has_form("a..c"));
	assert_false(token_has_form(".b.c"));
	assert_false(token_has_form("a.b.c.d"));
	assert_false(token_has_form("a.b.c="));
	assert_true(token_has_form("a.b-_.c"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_good_for_its_purpose_and_time),
		cmocka_unit_test(texts_that_are_no_tokens_have_no_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
