#include <string.h>

#include "common/http-chunked.h"
#include "tests/unit/unit.h"

#define MAX_BYTES 100

/* Feed @text in pieces of @step bytes. */
static int feed(const char *text, size_t step, struct buf *body, size_t *ret_used, bool *ret_done,
		struct error *err)
{
	struct http_chunked c = HTTP_CHUNKED_INIT;
	size_t len = strlen(text), used;

	*ret_used = 0;
	*ret_done = false;
	for (size_t at = 0; at < len && !*ret_done; at += step) {
		size_t n = len - at < step ? len - at : step;

		if (http_chunked_feed(&c, text + at, n, MAX_BYTES, body, &used, ret_done, err) < 0)
			return -1;
		assert_true(used == n || *ret_done);
		*ret_used += used;
	}
	return 0;
}

static void chunks_are_joined_however_they_arrive(void **state)
{
	static const struct {
		const char *text, *body;
		size_t n_left; /* bytes of somebody else */
	} cases[] = {
		{"0\r\n\r\n", "", 0},
		{"5\r\nhello\r\n0\r\n\r\n", "hello", 0},
		{"5\r\nhello\r\nA\r\n, world !!\r\n0\r\n\r\n", "hello, world !!", 0},
		{"00005\r\nhello\r\n000\r\n\r\n", "hello", 0},
		{"5;name=value\r\nhello\r\n0;x\r\n\r\n", "hello", 0},
		{"5 ;name=\"quo;ted\"\r\nhello\r\n0 \r\n\r\n", "hello", 0},
		{"5\r\nhello\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", "hello", 0},
		{"4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", 0},
		{"3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "abc", 16},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t step = 1; step < 40; step++) {
			AUTO(buf_done) struct buf body = {0};
			struct error err = {0};
			size_t used;
			bool is_done;

			if (feed(cases[i].text, step, &body, &used, &is_done, &err) < 0)
				fail_msg("'%s' in steps of %zu: %s", cases[i].text, step,
					 err.message);
			assert_true(is_done);
			assert_int_equal(used, strlen(cases[i].text) - cases[i].n_left);
			assert_string_equal(body.data ? body.data : "", cases[i].body);
		}
	}
}

static void an_unfinished_body_is_not_done(void **state)
{
	static const char text[] = "5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n";

	(void)state;
	for (size_t len = 1; len < strlen(text); len++) {
		AUTO(buf_done) struct buf body = {0};
		struct http_chunked c = HTTP_CHUNKED_INIT;
		struct error err = {0};
		size_t used;
		bool is_done = true;

		assert_int_equal(
			http_chunked_feed(&c, text, len, MAX_BYTES, &body, &used, &is_done, &err),
			0);
		assert_false(is_done);
	}
}

static void ill_formed_coding_is_refused(void **state)
{
	static const char *const bad[] = {
		"\r\n",
		"x\r\n",
		"-5\r\nhello\r\n",
		"+5\r\nhello\r\n",
		"0x5\r\nhello\r\n",
		" 5\r\nhello\r\n",
		"5\nhello\r\n",
		"5\r\rhello\r\n",
		"5 5\r\nhello\r\n",
		"5;a\nb\r\nhello\r\n",
		"5;a\rb\r\nhello\r\n",
		"5\r\nhello0\r\n\r\n",
		"5\r\nhello\n0\r\n\r\n",
		"5\r\nhello\r0\r\n\r\n",
		"5\r\nhello\r\n\r\n",
		"0\r\n\n",
		"0\r\na\nb\r\n\r\n",
		"0\r\na: b\rc\r\n\r\n",
		"0\r\n\rx",
		"1000000000000000\r\n",
		"FFFFFFFFFFFFFFFF\r\n",
		",\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		for (size_t step = 1; step < 30; step += 14) {
			AUTO(buf_done) struct buf body = {0};
			struct error err = {0};
			size_t used;
			bool is_done;

			if (feed(bad[i], step, &body, &used, &is_done, &err) == 0)
				fail_msg("'%s' was accepted", bad[i]);
			assert_int_equal(err.code, ERR_INVALID);
		}
	}
}

static void a_body_above_the_limit_is_refused_before_it_is_kept(void **state)
{
	char text[] = "65\r\n0123456789012345678901234567890123456789012345678901234567890123456789"
		      "0123456789012345678901234567890\r\n0\r\n\r\n";
	AUTO(buf_done) struct buf body = {0};
	struct error err = {0};
	size_t used;
	bool is_done;

	(void)state;
	assert_fails(feed(text, 3, &body, &used, &is_done, &err), ERR_TOO_LARGE);
	assert_in_range(body.len, 0, MAX_BYTES);
	buf_done(&body);
	memcpy(text, "64", 2); /* exactly the limit, in the bytes that follow one too many */
	assert_fails(feed(text, 3, &body, &used, &is_done, &err), ERR_INVALID);
	assert_int_equal(body.len, MAX_BYTES);
	buf_done(&body);
	/* a huge announcement costs nothing by itself */
	assert_int_equal(feed("FFFFFFFFFFFFFF\r\n0123", 100, &body, &used, &is_done, &err), 0);
	assert_false(is_done);
	assert_string_equal(body.data, "0123");
}

static void lines_without_end_are_refused(void **state)
{
	static const char *const heads[] = {"5;", "0\r\nTrailer: ", "0\r\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		AUTO(buf_done) struct buf body = {0};
		struct http_chunked c = HTTP_CHUNKED_INIT;
		struct error err = {0};
		size_t used;
		bool is_done;
		int result = http_chunked_feed(&c, heads[i], strlen(heads[i]), MAX_BYTES, &body,
					       &used, &is_done, &err);

		for (int n = 0; n < 5000 && result == 0; n++)
			result = http_chunked_feed(&c, i < 2 ? "aaaa" : "a:\r\n", 4, MAX_BYTES,
						   &body, &used, &is_done, &err);
		assert_int_equal(result, -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_are_joined_however_they_arrive),
		cmocka_unit_test(an_unfinished_body_is_not_done),
		cmocka_unit_test(ill_formed_coding_is_refused),
		cmocka_unit_test(a_body_above_the_limit_is_refused_before_it_is_kept),
		cmocka_unit_test(lines_without_end_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
