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

struct chain {
	struct loop loop;
	struct password_queue *queue;
	const char *hash;
	unsigned n_done, n_matches;
};

static void on_checked(char *hash, bool matches, void *userdata)
{
	struct chain *chain = userdata;
	struct error err;

	assert_null(hash);
	chain->n_matches += matches;
	if (++chain->n_done == 3)
		loop_stop(&chain->loop);
	else
		assert_int_equal(password_submit(chain->queue, "secret", chain->hash, on_checked,
						 chain, &err),
				 0);
}

static void whoever_is_told_of_a_password_may_submit_the_next_one(void **state)
{
	struct chain chain = {0};
	struct error err;
	AUTO(free_p) char *hash = password_hash_random("secret", &err);

	(void)state;
	assert_int_equal(loop_init(&chain.loop, &err), 0);
	chain.hash = hash;
	chain.queue = password_queue_new(&chain.loop, &err);
	assert_non_null(chain.queue);
	assert_int_equal(password_submit(chain.queue, "secret", hash, on_checked, &chain, &err), 0);
	loop_run(&chain.loop);
	loop_done(&chain.loop);
	assert_int_equal(chain.n_done, 3);
	assert_int_equal(chain.n_matches, 3);
	password_queue_free(chain.queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_password_is_recognised_by_its_hash),
		cmocka_unit_test(a_random_secret_is_recognised_too),
		cmocka_unit_test(whoever_is_told_of_a_password_may_submit_the_next_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
