#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker-lite/password.h"
#include "common/cleanup.h"

static void a_password_is_recognised_by_its_hash(void **state)
{
	struct error err;
	AUTO(free_p) char *hash = password_hash("secret", &err);

	(void)state;
	assert_non_null(hash);
	assert_true(password_matches(hash, "secret"));
	assert_false(password_matches(hash, "Secret"));
	assert_false(password_matches("scrypt$16384$8$1$x$y", "secret"));
	assert_false(password_matches("", "secret"));
}

static void a_random_secret_is_recognised_too(void **state)
{
	struct error err;
	AUTO(free_p) char *hash = password_hash_random("secret", &err);
	AUTO(free_p) char *again = password_hash_random("secret", &err);

	(void)state;
	assert_non_null(hash);
	assert_string_not_equal(hash, again); /* salted */
	assert_null(strstr(hash, "secret"));
	assert_true(password_matches(hash, "secret"));
	assert_false(password_matches(hash, "Secret"));
	assert_false(password_matches("hmac-sha256$x$y", "secret"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_password_is_recognised_by_its_hash),
		cmocka_unit_test(a_random_secret_is_recognised_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
