#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "agent/keeper/environment.h"
#include "common/cleanup.h"

static const struct account alice = {
	.name = (char[]){"alice"}, .home = (char[]){"/home/alice"}, .shell = (char[]){"/bin/zsh"}};

static int make(struct environment *env, char *const *from_pam, struct error *err)
{
	const struct environment_sources sources = {.from_pam = from_pam,
						    .owner = &alice,
						    .session_id = "s1",
						    .runtime_folder = "/run/of/session"};

	return environment_init(env, &sources, err);
}

static void account_and_session_have_the_last_word(void **state)
{
	AUTO(environment_done) struct environment env = {0};
	char home[] = "HOME=/evil", id[] = "DCV_SESSION_ID=other", mail[] = "MAIL=/var/mail/a=b";
	char *const from_pam[] = {home, id, mail, NULL};
	struct error err = {0};

	(void)state;
	assert_int_equal(make(&env, from_pam, &err), 0);
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
	assert_int_equal(make(&env, from_pam, &err), 0);
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
	(void)setenv("LANG", "xx_XX", 1); /* the keeper's */
	assert_int_equal(make(&env, from_pam, &err), 0);
	assert_non_null(environment_get(&env, "PATH"));
	assert_string_equal(environment_get(&env, "LANG"), "C.UTF-8");
	assert_string_equal(environment_get(&env, "XDG_RUNTIME_DIR"), "/run/of/session");
	assert_null(environment_get(&env, "SECRET"));
	assert_null(environment_get(&env, "no value"));
}

static void what_would_replace_parts_of_the_desktop_is_left_out(void **state)
{
	AUTO(environment_done) struct environment env = {0};
	char *const from_pam[] = {
		(char[]){"PATH=/home/alice/conda/bin:/home/alice:/opt/bin::/usr/bin:/home/alices"},
		(char[]){"LD_LIBRARY_PATH=/home/alice/conda/lib:/opt/lib"},
		(char[]){"PYTHONPATH=/home/alice/lib"},
		(char[]){"LD_PRELOAD=/opt/x.so"},
		(char[]){"CONDA_PREFIX=/home/alice/conda"},
		(char[]){"BASH_ENV=/home/alice/.env"},
		(char[]){"BASH_ENVELOPE=kept"},
		(char[]){"DISPLAY=:7"},
		(char[]){"DCV_SESSION_SECRET=x"},
		NULL};
	struct error err = {0};

	(void)state;
	assert_int_equal(make(&env, from_pam, &err), 0);
	assert_string_equal(environment_get(&env, "PATH"),
			    "/opt/bin:/usr/bin:/home/alices:/home/alice/conda/bin:/home/alice");
	assert_string_equal(environment_get(&env, "LD_LIBRARY_PATH"), "/opt/lib");
	assert_null(environment_get(&env, "PYTHONPATH"));
	assert_null(environment_get(&env, "LD_PRELOAD"));
	assert_null(environment_get(&env, "CONDA_PREFIX"));
	assert_null(environment_get(&env, "BASH_ENV"));
	assert_string_equal(environment_get(&env, "BASH_ENVELOPE"), "kept");
	assert_null(environment_get(&env, "DISPLAY"));
	assert_null(environment_get(&env, "DCV_SESSION_SECRET"));
}

static void the_locale_is_the_hosts_unless_pam_names_one(void **state)
{
	char path[] = "/tmp/test-locale-XXXXXX";
	static const char text[] = "# of the host\nLANG=\"fr_FR.UTF-8\"\nLC_TIME='de_DE.UTF-8'\n"
				   "PATH=/evil\nLC_PAPER\nLANGUAGE=fr:en\n";
	const char *const files[] = {"/is/not/there", path, NULL};
	char *const from_pam[] = {(char[]){"LC_TIME=C"}, NULL};
	const struct environment_sources sources = {
		.from_pam = from_pam, .locale_files = files, .owner = &alice, .session_id = "s1"};
	AUTO(environment_done) struct environment env = {0};
	struct error err = {0};
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	(void)close(fd);
	assert_int_equal(environment_init(&env, &sources, &err), 0);
	(void)unlink(path);
	assert_string_equal(environment_get(&env, "LANG"), "fr_FR.UTF-8");
	assert_string_equal(environment_get(&env, "LANGUAGE"), "fr:en");
	assert_string_equal(environment_get(&env, "LC_TIME"), "C");
	assert_string_not_equal(environment_get(&env, "PATH"), "/evil");
	assert_null(environment_get(&env, "LC_PAPER"));
	assert_null(environment_get(&env, "XDG_RUNTIME_DIR"));
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
		cmocka_unit_test(what_would_replace_parts_of_the_desktop_is_left_out),
		cmocka_unit_test(the_locale_is_the_hosts_unless_pam_names_one),
		cmocka_unit_test(setting_replaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
