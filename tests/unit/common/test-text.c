#include <string.h>

#include "common/text.h"
#include "tests/unit/unit.h"

static void uuids_have_their_form_and_differ(void **state)
{
	char one[UUID_SIZE], two[UUID_SIZE];

	(void)state;
	uuid_make(one);
	uuid_make(two);
	assert_true(is_uuid(one));
	assert_int_equal(one[14], '4');
	assert_non_null(strchr("89ab", one[19]));
	assert_string_not_equal(one, two);
}

static void only_lower_case_uuids_are_uuids(void **state)
{
	static const char *const bad[] = {
		"",
		"0c9be39d-7d6c-4f0e-8f53-5a0c6a0e2b7",
		"0c9be39d-7d6c-4f0e-8f53-5a0c6a0e2b777",
		"0C9BE39D-7D6C-4F0E-8F53-5A0C6A0E2B77",
		"0c9be39d_7d6c-4f0e-8f53-5a0c6a0e2b77",
		"0c9be39d-7d6c-4f0e-8f53-5a0c6a0e2b7g",
		" 0c9be39d-7d6c-4f0e-8f53-5a0c6a0e2b7",
	};

	(void)state;
	assert_true(is_uuid("0c9be39d-7d6c-4f0e-8f53-5a0c6a0e2b77"));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(is_uuid(bad[i]));
}

static void random_texts_are_letters_and_digits(void **state)
{
	char text[1001], empty[1];

	(void)state;
	random_text(text, 1000);
	assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789"),
			 1000);
	assert_int_equal(strlen(text), 1000);
	random_text(empty, 0);
	assert_string_equal(empty, "");
}

static void times_always_have_three_fraction_digits(void **state)
{
	static const struct {
		long long ms;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{1772438411042, "2026-03-02T08:00:11.042Z"},
		{253402300799999, "9999-12-31T23:59:59.999Z"},
	};
	char text[TIME_SIZE];
	long long ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		time_format(cases[i].ms, text);
		assert_string_equal(text, cases[i].text);
		assert_true(time_parse(text, &ms));
		assert_true(ms == cases[i].ms);
	}
}

static void a_time_that_has_no_such_text_is_the_beginning(void **state)
{
	char text[TIME_SIZE];

	(void)state;
	time_format(-1, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	time_format(253402300800000, text);
	assert_int_equal(strlen(text), TIME_SIZE - 1);
	assert_memory_equal(text, "1970-01-01T00:00:00", 19);
}

static void the_fraction_may_have_any_length(void **state)
{
	static const struct {
		const char *text;
		long long ms;
	} cases[] = {
		{"1970-01-01T00:00:01Z", 1000},
		{"1970-01-01T00:00:01.5Z", 1500},
		{"1970-01-01T00:00:01.123456789Z", 1123},
		{"2024-02-29T00:00:00Z", 1709164800000},
	};
	long long ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(time_parse(cases[i].text, &ms));
		assert_true(ms == cases[i].ms);
	}
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"2026-03-02",
		"2026-03-02T08:00:11",
		"2026-03-02T08:00:11.Z",
		"2026-03-02T08:00:11+01:00",
		"2026-03-02T08:00:11Zx",
		"2026-03-02 08:00:11Z",
		"2026-13-02T08:00:11Z",
		"2026-02-30T08:00:11Z",
		"2025-02-29T08:00:11Z",
		"2026-03-02T24:00:00Z",
		"2026-3-2T8:0:11Z",
		"2026- 3- 2T 8: 0:11Z",
		" 2026-03-02T08:00:11Z",
		"26-03-02T08:00:11Z",
		"-026-03-02T08:00:11Z",
		"2026-03-02T08:00:60Z",
	};
	long long ms = 99;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (time_parse(bad[i], &ms))
			fail_msg("'%s' was accepted", bad[i]);
	}
	assert_int_equal(ms, 99);
}

static void base64_is_that_of_the_standard(void **state)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xfb\xff\xfe", "+//+"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf_done) struct buf text = {0}, bytes = {0};
		struct error err = {0};

		assert_int_equal(base64_append(&text, cases[i].bytes, strlen(cases[i].bytes), &err),
				 0);
		assert_string_equal(text.data, cases[i].text);
		assert_int_equal(base64_decode(cases[i].text, &bytes, &err), 0);
		assert_int_equal(bytes.len, strlen(cases[i].bytes));
		if (bytes.len > 0)
			assert_memory_equal(bytes.data, cases[i].bytes, bytes.len);
	}
}

static void both_alphabets_and_missing_padding_are_read(void **state)
{
	AUTO(buf_done) struct buf bytes = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(base64_decode("-__-", &bytes, &err), 0);
	assert_memory_equal(bytes.data, "\xfb\xff\xfe", 3);
	assert_int_equal(base64_decode("Zm8", &bytes, &err), 0);
	assert_memory_equal(bytes.data,
			    "\xfb\xff\xfe"
			    "fo",
			    6);
	/* the value of the guide's sample */
	assert_int_equal(base64_decode("file_base64_encoded", &bytes, &err), 0);
}

static void what_is_no_base64_is_refused_and_adds_nothing(void **state)
{
	static const char *const bad[] = {
		"A",     "AAAAA",  "Zm9v Zm9v", "Zm9v\n",   "Zg=",
		"=",     "==",     "Z===",      "Zg==Zg==", "Zm=v",
		"Zm9v=", "Zm9v==", "\xff\xff",  "Zm9v,",    "/dcv/permissions.file"};
	AUTO(buf_done) struct buf bytes = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(buf_append_text(&bytes, "kept", &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (base64_decode(bad[i], &bytes, &err) == 0)
			fail_msg("'%s' was accepted", bad[i]);
		assert_int_equal(err.code, ERR_INVALID);
		assert_string_equal(bytes.data, "kept");
		assert_int_equal(bytes.len, 4);
	}
}

static void megabytes_of_base64_come_back_the_same(void **state)
{
	AUTO(buf_done) struct buf bytes = {0}, text = {0}, back = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(buf_reserve(&bytes, (7 << 20) + 1, &err), 0);
	for (bytes.len = 0; bytes.len < (7 << 20) + 1; bytes.len++)
		bytes.data[bytes.len] = (char)(bytes.len * 2654435761U >> 13);
	assert_int_equal(base64_append(&text, bytes.data, bytes.len, &err), 0);
	assert_int_equal(strlen(text.data), (bytes.len + 2) / 3 * 4);
	assert_int_equal(base64_decode(text.data, &back, &err), 0);
	assert_int_equal(back.len, bytes.len);
	assert_memory_equal(back.data, bytes.data, bytes.len);
}

/* Each at every distance from the beginning, for ASCII is skipped in words. */
static void utf_8_is_known_wherever_it_is(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
	} cases[] = {
		{"", true},
		{"\xc3\xa9", true},
		{"\xed\x9f\xbf", true},
		{"\xf4\x8f\xbf\xbf", true},
		{"\xc3", false},
		{"\xe2\x82", false},
		{"\x80", false},
		{"\xc1\xbf", false},
		{"\xed\xa0\x80", false},
		{"\xf0\x8f\xbf\xbf", false},
		{"\xf4\x90\x80\x80", false},
		{"\xff", false},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int before = 0; before < 20; before++) {
			for (int after = 0; after < 20; after++) {
				int n = snprintf(text, sizeof(text), "%.*s%s%.*s", before,
						 "abcdefghijklmnopqrst", cases[i].text, after,
						 "abcdefghijklmnopqrst");

				assert_int_equal(is_utf8(text, (size_t)n), cases[i].is_good);
			}
		}
	}
	assert_true(is_utf8("a\0b", 3));
	assert_true(is_utf8(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uuids_have_their_form_and_differ),
		cmocka_unit_test(only_lower_case_uuids_are_uuids),
		cmocka_unit_test(random_texts_are_letters_and_digits),
		cmocka_unit_test(times_always_have_three_fraction_digits),
		cmocka_unit_test(a_time_that_has_no_such_text_is_the_beginning),
		cmocka_unit_test(the_fraction_may_have_any_length),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(base64_is_that_of_the_standard),
		cmocka_unit_test(both_alphabets_and_missing_padding_are_read),
		cmocka_unit_test(what_is_no_base64_is_refused_and_adds_nothing),
		cmocka_unit_test(megabytes_of_base64_come_back_the_same),
		cmocka_unit_test(utf_8_is_known_wherever_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
