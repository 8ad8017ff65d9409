#include <stdlib.h>
#include <string.h>

#include "broker-lite/key-ring.h"
#include "common/json.h"
#include "tests/unit/unit.h"

static void key_p(struct token_key **key)
{
	token_key_free(*key);
}

static void ring_p(struct key_ring **ring)
{
	key_ring_free(*ring);
}

static void a_token_is_good_for_its_purpose_and_time(void **state)
{
	const char *const algorithms[] = {"ES256", "RS256"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
		AUTO(ring_p) struct key_ring *ring = NULL;
		AUTO(ring_p) struct key_ring *other = NULL;
		AUTO(buf_done) struct buf token = {0};
		AUTO(buf_done) struct buf old = {0};
		json_auto_t *claims = json_pack("{s:s}", "sub", "mira");
		json_t *found = NULL;
		struct error err = {0};

		assert_int_equal(key_ring_open(&ring, NULL, "r", algorithms[i], 3600, &err), 0);
		assert_int_equal(key_ring_open(&other, NULL, "r", algorithms[i], 3600, &err), 0);
		assert_int_equal(key_ring_sign(ring, claims, "api", 3600, &token, &err), 0);
		assert_true(token_has_form(token.data, OWN_TOKEN_MAX_BYTES));
		assert_int_equal(key_ring_verify(ring, token.data, "api", &found, &err), 0);
		assert_string_equal(json_get_text(found, "sub"), "mira");
		json_decref(found);
		assert_int_equal(key_ring_verify(ring, token.data, "agent", &found, &err), -1);
		assert_int_equal(key_ring_verify(other, token.data, "api", &found, &err), -1);
		assert_string_equal(err.message, "unknown key");
		/* another character of the alphabet, which stands for other bits */
		token.data[token.len - 5] = token.data[token.len - 5] == 'A' ? 'B' : 'A';
		assert_int_equal(key_ring_verify(ring, token.data, "api", &found, &err), -1);
		assert_string_equal(err.message, "bad signature");
		assert_int_equal(key_ring_sign(ring, claims, "api", -61, &old, &err), 0);
		assert_int_equal(key_ring_verify(ring, old.data, "api", &found, &err), -1);
		assert_string_equal(err.message, "expired");
	}
}

static void a_key_is_read_as_it_was_written(void **state)
{
	AUTO(key_p) struct token_key *key = NULL;
	AUTO(key_p) struct token_key *same = NULL;
	AUTO(key_p) struct token_key *half = NULL;
	AUTO(buf_done) struct buf whole_text = {0};
	AUTO(buf_done) struct buf public_text = {0};
	AUTO(buf_done) struct buf text = {0};
	AUTO(buf_done) struct buf by_half = {0};
	json_auto_t *claims = json_object();
	struct token token;
	struct error err = {0};

	(void)state;
	assert_int_equal(token_key_make(&key, "ES256", &err), 0);
	assert_int_equal(token_key_write(key, true, &whole_text, &err), 0);
	assert_int_equal(token_key_write(key, false, &public_text, &err), 0);
	assert_null(strstr(public_text.data, "\"d\""));
	assert_int_equal(token_key_read(&same, whole_text.data, &err), 0);
	assert_int_equal(token_key_read(&half, public_text.data, &err), 0);
	assert_string_equal(token_key_id(half), token_key_id(key));
	assert_int_equal(token_sign(same, claims, "api", 60, &text, &err), 0);
	assert_int_equal(token_read(&token, text.data, TOKEN_MAX_BYTES, &err), 0);
	assert_int_equal(token_check_own(&token, half, &err), 0);
	token_done(&token);
	assert_int_equal(token_sign(half, claims, "api", 60, &by_half, &err), -1);
}

static void texts_that_are_no_tokens_have_no_form(void **state)
{
	(void)state;
	assert_false(token_has_form("", 100));
	assert_false(token_has_form("a.b", 100));
	assert_false(token_has_form("a..c", 100));
	assert_false(token_has_form(".b.c", 100));
	assert_false(token_has_form("a.b.c.d", 100));
	assert_false(token_has_form("a.b.c=", 100));
	assert_true(token_has_form("a.b-_.c", 7));
	assert_false(token_has_form("a.b-_.c", 6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_good_for_its_purpose_and_time),
		cmocka_unit_test(a_key_is_read_as_it_was_written),
		cmocka_unit_test(texts_that_are_no_tokens_have_no_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
