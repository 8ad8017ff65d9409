#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "ctl/url.h"

static void https_goes_anywhere(void **state)
{
	static const char *const good[] = {
		"https://broker:8443",    "https://broker",          "https://broker:8443/",
		"HTTPS://BROKER.Example", "https://10.0.0.1/a/b/",   "https://[fd00::1]:8443",
		"https://[fd00::1]/dcv",  "https://h/t?scope=a%40b", "https://h/t?user=a@b",
	};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(url_check(good[i], true, &err), 0);
}

static void http_stays_on_this_host(void **state)
{
	static const char *const good[] = {"http://localhost:8080", "HTTP://LocalHost",
					   "http://127.0.0.1:1", "http://127.1.2.3/",
					   "http://[::1]:8443/x"};
	static const char *const bad[] = {
		"http://broker",
		"http://10.0.0.1",
		"http://localhost.example",
		"http://127.0.0.1.example",
		"http://[fd00::1]",
		"http://[::ffff:127.0.0.1]",
		"http://[::]",
		"http://0.0.0.0",
		"http://128.0.0.1",
		"http://example/localhost",
		"http://example?[::1]/",
	};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(url_check(good[i], true, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(url_check(bad[i], true, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void what_is_no_address_of_a_service_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"broker",
		"broker:8443",
		"//broker",
		"ftp://broker",
		"file:///etc",
		"https://",
		"https://:8443",
		"https://h:99999",
		"https://h:x",
		"https://h h",
		"https://h\n",
		"https://[::1",
		"https://h/#frag",
		"https://[zz]",
		"/path",
	};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(url_check(bad[i], true, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void user_information_is_refused_and_not_repeated(void **state)
{
	static const char *const bad[] = {
		"https://secret@h", "https://u:secret@h",         "https://:secret@h",
		"secret@h",         "http://u:secret@127.0.0.1",  "https:secret@h",
		"ftp://secret@h",   "https://u:secret/with@h:x/", "https:\\\\u:secret@h",
	};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(url_check(bad[i], true, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_null(strstr(err.message, "secret"));
	}
}

static void paths_cannot_be_appended_to_a_query(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(url_check("https://h/?a=b", false, &err), -1);
	assert_int_equal(url_check("https://h?", false, &err), -1);
	assert_int_equal(url_check("https://h/", false, &err), 0);
}

static void an_at_sign_may_stand_in_the_path(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(url_check("https://h/team@site/", true, &err), 0);
}

static void assert_joined(const char *base, const char *expected)
{
	AUTO(free_p) char *url = NULL;
	struct error err = {0};

	assert_int_equal(url_join(base, "/describeSessions", &url, &err), 0);
	assert_string_equal(url, expected);
}

static void a_path_goes_below_the_base(void **state)
{
	(void)state;
	assert_joined("https://h:8443", "https://h:8443/describeSessions");
	assert_joined("https://h:8443/", "https://h:8443/describeSessions");
	assert_joined("https://h//", "https://h/describeSessions");
	assert_joined("https://h/dcv/a", "https://h/dcv/a/describeSessions");
	assert_joined("https://[::1]/dcv/", "https://[::1]/dcv/describeSessions");
}

static void assert_token_url(const char *auth_url, const char *expected)
{
	AUTO(free_p) char *url = NULL;
	struct error err = {0};

	assert_int_equal(url_of_token(auth_url, "https://b/", &url, &err), 0);
	assert_string_equal(url, expected);
}

static void the_grant_type_is_added_where_it_lacks(void **state)
{
	(void)state;
	assert_token_url(NULL, "https://b/oauth2/token?grant_type=client_credentials");
	assert_token_url("https://a/t", "https://a/t?grant_type=client_credentials");
	assert_token_url("https://a/t?", "https://a/t?grant_type=client_credentials");
	assert_token_url("https://a/t?scope=x",
			 "https://a/t?scope=x&grant_type=client_credentials");
	assert_token_url("https://a/t?grant_type=y", "https://a/t?grant_type=y");
	assert_token_url("https://a/t?b=c&grant_type=y", "https://a/t?b=c&grant_type=y");
	assert_token_url("https://a/t?my_grant_type=y",
			 "https://a/t?my_grant_type=y&grant_type=client_credentials");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(https_goes_anywhere),
		cmocka_unit_test(http_stays_on_this_host),
		cmocka_unit_test(what_is_no_address_of_a_service_is_refused),
		cmocka_unit_test(user_information_is_refused_and_not_repeated),
		cmocka_unit_test(paths_cannot_be_appended_to_a_query),
		cmocka_unit_test(an_at_sign_may_stand_in_the_path),
		cmocka_unit_test(a_path_goes_below_the_base),
		cmocka_unit_test(the_grant_type_is_added_where_it_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
