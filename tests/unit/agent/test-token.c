#include "agent/token.h"

#include "tests/unit/agent/fixture.h"

#define NOW 1772438411042LL

static const struct token_key key = {"0123456789abcdef0123456789abcdef"};

static char *make(const char *session_id, const char *user)
{
	struct error err = {0};
	char *token = token_make(&key, session_id, user, NOW, &err);

	assert_non_null(token);
	return token;
}

static void assert_refused(const struct token_key *with, const char *token, const char *session_id,
			   long long now_ms)
{
	struct error err = {0};

	assert_null(token_check(with, token, session_id, now_ms, &err));
	assert_true(err.code == ERR_UNAUTHORIZED || err.code == ERR_INVALID);
}

static void a_token_admits_its_user_to_its_session(void **state)
{
	static const char *const users[] = {"alice", "DOMAIN\\bob", "x@y/z", "\"\n\xc3\xa4"};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(users); i++) {
		AUTO(free_p) char *token = make("s1", users[i]);
		AUTO(free_p) char *user = token_check(&key, token, "s1", NOW, &err);

		assert_string_equal(user, users[i]);
		assert_int_equal(token[strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
						     "abcdefghijklmnopqrstuvwxyz0123456789._-")],
				 '\0');
	}
}

static void a_token_is_for_one_session_one_key_and_one_hour(void **state)
{
	static const struct token_key other = {"0123456789abcdef0123456789abcdeF"};
	AUTO(free_p) char *token = make("s1", "alice"), *user = NULL;
	struct error err = {0};

	(void)state;
	assert_refused(&key, token, "s2", NOW);
	assert_refused(&key, token, "", NOW);
	assert_refused(&other, token, "s1", NOW);
	user = token_check(&key, token, "s1", NOW + TOKEN_LIFE_MS - 1, &err);
	assert_non_null(user);
	assert_refused(&key, token, "s1", NOW + TOKEN_LIFE_MS);
}

static void a_token_that_was_changed_anywhere_is_refused(void **state)
{
	AUTO(free_p) char *token = make("s1", "alice");

	(void)state;
	for (size_t i = 0; token[i]; i++) {
		char kept = token[i];

		token[i] = kept == 'A' ? 'B' : 'A';
		assert_refused(&key, token, "s1", NOW);
		token[i] = '\0';
		assert_refused(&key, token, "s1", NOW);
		token[i] = kept;
	}
}

static void what_is_no_token_is_refused(void **state)
{
	static char long_one[10000];

	(void)state;
	memset(long_one, 'A', sizeof(long_one) - 1);
	long_one[5000] = '.';
	assert_refused(&key, long_one, "s1", NOW);
	assert_refused(&key, "", "s1", NOW);
	assert_refused(&key, ".", "s1", NOW);
	assert_refused(&key, "..", "s1", NOW);
	assert_refused(&key, "a.b.c", "s1", NOW);
	assert_refused(&key, "\xff.\xff", "s1", NOW);
}

static void text_that_is_not_utf8_makes_no_token(void **state)
{
	struct error err = {0};

	(void)state;
	assert_null(token_make(&key, "s1", "\xff", NOW, &err));
	assert_int_equal(err.code, ERR_INVALID);
}

static void the_key_is_made_once_and_kept_for_us_alone(void **state)
{
	struct token_key first, second;
	struct stat status;
	struct folder f;
	struct error err;

	(void)state;
	folder_make(&f);
	assert_int_equal(token_key_load(&first, in_folder(&f, "key"), &err), 0);
	assert_int_equal(token_key_load(&second, in_folder(&f, "key"), &err), 0);
	assert_memory_equal(&first, &second, sizeof(first));
	assert_int_equal(stat(in_folder(&f, "key"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(token_key_load(&second, in_folder(&f, "key2"), &err), 0);
	assert_memory_not_equal(&first, &second, sizeof(first));
	folder_remove(&f);
}

static void a_key_of_another_size_is_an_error_that_names_the_file(void **state)
{
	struct token_key ret;
	struct folder f;
	struct error err;

	(void)state;
	folder_make(&f);
	(void)put(&f, "key", "short");
	assert_fails(token_key_load(&ret, in_folder(&f, "key"), &err), ERR_INVALID);
	assert_non_null(strstr(err.message, in_folder(&f, "key")));
	(void)put(&f, "key", "0123456789abcdef0123456789abcdef0");
	assert_fails(token_key_load(&ret, in_folder(&f, "key"), &err), ERR_TOO_LARGE);
	(void)put(&f, "key", "");
	assert_fails(token_key_load(&ret, in_folder(&f, "key"), &err), ERR_INVALID);
	assert_fails(token_key_load(&ret, in_folder(&f, "no/such/folder"), &err), err.code);
	folder_remove(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_admits_its_user_to_its_session),
		cmocka_unit_test(a_token_is_for_one_session_one_key_and_one_hour),
		cmocka_unit_test(a_token_that_was_changed_anywhere_is_refused),
		cmocka_unit_test(what_is_no_token_is_refused),
		cmocka_unit_test(text_that_is_not_utf8_makes_no_token),
		cmocka_unit_test(the_key_is_made_once_and_kept_for_us_alone),
		cmocka_unit_test(a_key_of_another_size_is_an_error_that_names_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
