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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_password_is_recognised_by_its_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
