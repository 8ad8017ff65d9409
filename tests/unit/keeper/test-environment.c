#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/environment.h"
#include "common/cleanup.h"

static const struct account alice = {
	.name = (char[]){"alice"}, .home = (char[]){"/home/alice"}, .shell = (char[]){"/bin/zsh"}};

static void account_and_session_have_the_last_word(void **state)
{
	AUTO(environment_done) struct environment env = {0};
	char home[] = "HOME=/evil", id[] = "DCV_SESSION_ID=other", mail[] = "MAIL=/var/mail/a=b";
	char *const from_pam[] = {home, id, mail, NULL};
	struct error err = {0};

	(void)state;
	assert_int_equal(environment_init(&env, from_pam, &alice, "s1", &err), 0);
	assert_string_equal(environment_get(&env, "HOME"), "/home/alice");
	assert_string_equal(environment_get(&env, "USER"), "alice");
	assert_string_equal(environment_get(&env, "SHELL"), "/bin/zsh");
	assert_string_equal(environment_get(&env, "DCV_SESSION_ID"), "s1");
	assert_string_equal(environment_get(&env, "XDG_SESSION_TYPE"), "x11");
	assert_string_equal(environment_get(&env, "MAIL"), "/var/mail/a=b");
	assert_null(env.vars[env.n]);
}

static void pam_may_replace_defaults(void **state)
{
	AUTO(environment_done) struct environment env = {0};
	char path[] = "PATH=/opt/bin", lang[] = "LANG=de_DE.UTF-8";
	char *const from_pam[] = {path, lang, NULL};
	struct error err = {0};

	(void)state;
	assert_int_equal(environment_init(&env, from_pam, &alice, "s1", &err), 0);
	assert_string_equal(environment_get(&env, "PATH"), "/opt/bin");
	assert_string_equal(environment_get(&env, "LANG"), "de_DE.UTF-8");
}

static void there_are_defaults_and_nothing_else(void **state)
{
	AUTO(environment_done) struct environment env = {0};
	char nonsense[] = "no value", nameless[] = "=x";
	char *const from_pam[] = {nonsense, nameless, NULL};
	struct error err = {0};

	(void)state;
	(void)setenv("SECRET", "1", 1);
	(void)unsetenv("LANG");
	assert_int_equal(environment_init(&env, from_pam, &alice, "s1", &err), 0);
	assert_non_null(environment_get(&env, "PATH"));
	assert_string_equal(environment_get(&env, "LANG"), "C.UTF-8");
	assert_null(environment_get(&env, "SECRET"));
	assert_null(environment_get(&env, "no value"));
}

static void setting_replaces(void **state)
{
	AUTO(environment_done) struct environment env = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(environment_set(&env, "A", "1", &err), 0);
	assert_int_equal(environment_set(&env, "AB", "2", &err), 0);
	assert_int_equal(environment_set(&env, "A", "3", &err), 0);
	assert_int_equal(env.n, 2);
	assert_string_equal(environment_get(&env, "A"), "3");
	assert_string_equal(environment_get(&env, "AB"), "2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(account_and_session_have_the_last_word),
		cmocka_unit_test(pam_may_replace_defaults),
		cmocka_unit_test(there_are_defaults_and_nothing_else),
		cmocka_unit_test(setting_replaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
