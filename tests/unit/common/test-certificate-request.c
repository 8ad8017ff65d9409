#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/certificate-request.h"
#include "common/certificate.h"
#include "common/cleanup.h"
#include "common/subject-names.h"

static void what_was_asked_for_is_read(void **state)
{
	static const char names[] = "DNS:cad01,IP:192.0.2.7,IP:2001:db8::1";
	AUTO(key_p) EVP_PKEY *key = EVP_EC_gen("P-256");
	AUTO(buf_done) struct buf text = {0};
	struct certificate_request request;
	struct error err;

	(void)state;
	assert_int_equal(certificate_request_append(key, names, &text, &err), 0);
	assert_int_equal(certificate_request_read(text.data, &request, &err), 0);
	assert_string_equal(request.names, names);
	assert_int_equal(EVP_PKEY_eq(request.key, key), 1);
	certificate_request_done(&request);
}

/* No byte of it is without consequence. */
static void a_request_that_was_changed_is_refused(void **state)
{
	AUTO(key_p) EVP_PKEY *key = EVP_EC_gen("P-256");
	AUTO(buf_done) struct buf text = {0};
	struct certificate_request request;
	struct error err;

	(void)state;
	assert_int_equal(certificate_request_append(key, "DNS:cad01", &text, &err), 0);
	for (size_t i = 0; i + 4 < text.len; i += 3) {
		char before = text.data[i];

		text.data[i] = before == 'A' ? 'B' : 'A';
		assert_int_equal(certificate_request_read(text.data, &request, &err), -1);
		text.data[i] = before;
	}
	assert_int_equal(certificate_request_read(text.data, &request, &err), 0);
	certificate_request_done(&request);
}

static void names_are_told_from_what_no_host_has(void **state)
{
	static const char *const good[] = {"cad01",      "a.b-c.example", "_x",
					   "10.0.0.1",   "192.0.2.255",   "2001:db8::1",
					   "localhost1", "mylocalhost",   "3com.example"};
	static const char *const bad[] = {
		"",        "localhost",   "a.localhost",     "LOCALHOST", "127.0.0.1",
		"0.0.0.0", "169.254.1.1", "224.0.0.1",       "::1",       "::",
		"fe80::1", "ff02::1",     "*.example",       "a,DNS:b",   "a b",
		".a",      "a.",          "::ffff:10.0.0.1", "1.2.3",     "10.0.0.256"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (!subject_name_is_of_host(good[i]))
			fail_msg("%s", good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (subject_name_is_of_host(bad[i]))
			fail_msg("%s", bad[i]);
	}
}

static void names_are_found_whole_and_in_any_case(void **state)
{
	static const char names[] = "DNS:cad01,DNS:cad01.example,IP:10.0.0.1";
	const char *at = names;
	char entry[SUBJECT_NAME_SIZE];
	unsigned n = 0;

	(void)state;
	assert_true(subject_names_has(names, "DNS:CAD01"));
	assert_true(subject_names_has(names, "IP:10.0.0.1"));
	assert_false(subject_names_has(names, "DNS:cad0"));
	assert_false(subject_names_has(names, "IP:10.0.0"));
	assert_false(subject_names_has(NULL, "DNS:cad01"));
	for (; subject_names_next(&at, entry); n++)
		assert_true(subject_names_has(names, entry));
	assert_int_equal(n, 3);
}

static void an_address_is_the_same_however_it_is_written(void **state)
{
	static const char *const texts[] = {"2001:db8::1", "2001:DB8::1", "2001:0db8::0:1",
					    "2001:db8:0:0:0:0:0:1", "2001:db8::0.0.0.1"};
	AUTO(buf_done) struct buf names = {0};
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_true(subject_name_is("IP:2001:db8::1", texts[i]));
		assert_int_equal(subject_names_add(&names, texts[i], &err), 0);
	}
	assert_string_equal(names.data, "IP:2001:db8::1");
	assert_false(subject_name_is("IP:2001:db8::1", "2001:db8::2"));
	assert_true(subject_name_is("DNS:cad01", "CAD01"));
	assert_false(subject_name_is("DNS:cad01", "cad01,IP:10.0.0.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_asked_for_is_read),
		cmocka_unit_test(a_request_that_was_changed_is_refused),
		cmocka_unit_test(names_are_told_from_what_no_host_has),
		cmocka_unit_test(names_are_found_whole_and_in_any_case),
		cmocka_unit_test(an_address_is_the_same_however_it_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
