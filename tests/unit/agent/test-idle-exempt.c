#include "agent/idle-exempt.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static const char *found(const char *list, const char *owner, const char *name, const char *type)
{
	const struct create_session_request request = {.name = name, .owner = owner, .type = type};
	json_auto_t *tags = json_pack("[{s:s,s:s},{s:s,s:s}]", "Key", "purpose", "Value", "render",
				      "Key", "rack", "Value", "");
	struct error err = {0};
	struct session *session = session_new("id", &request, 0, &err);
	const char *item = idle_exempt_find(list, session, tags);

	session_free(session);
	return item;
}

static void a_tag_of_the_host_exempts_all_of_its_sessions(void **state)
{
	(void)state;
	assert_string_equal(found("tag:purpose\0", "a", "b", "VIRTUAL"), "tag:purpose");
	assert_non_null(found("tag:purpose=render\0", "a", "b", "VIRTUAL"));
	assert_non_null(found("tag:rack=\0", "a", "b", "VIRTUAL"));
	assert_null(found("tag:purpose=rende\0", "a", "b", "VIRTUAL"));
	assert_null(found("tag:purpose=render2\0", "a", "b", "VIRTUAL"));
	assert_null(found("tag:purpos\0", "a", "b", "VIRTUAL"));
	assert_null(found("tag:purpose=\0", "a", "b", "VIRTUAL"));
	assert_null(found("tag:render\0", "a", "b", "VIRTUAL"));
}

static void owner_name_and_type_are_the_sessions(void **state)
{
	(void)state;
	assert_non_null(found("owner:mira\0", "mira", "b", "VIRTUAL"));
	assert_null(found("owner:mir\0", "mira", "b", "VIRTUAL"));
	assert_non_null(found("name:keep-*\0", "a", "keep-it", "VIRTUAL"));
	assert_null(found("name:keep-*\0", "a", "do-keep-it", "VIRTUAL"));
	assert_non_null(found("type:console\0", "a", "b", "CONSOLE"));
	assert_null(found("type:console\0", "a", "b", "VIRTUAL"));
	assert_string_equal(found("owner:x\0tag:no\0name:b\0", "a", "b", "VIRTUAL"), "name:b");
	assert_null(found("\0", "a", "b", "VIRTUAL"));
}

static void an_owner_is_exempt_by_the_name_of_the_account_too(void **state)
{
	const struct create_session_request request = {
		.name = "b", .owner = "CORP\\mira", .type = "VIRTUAL"};
	struct error err = {0};
	struct session *session = session_new("id", &request, 0, &err);

	(void)state;
	assert_null(idle_exempt_find("owner:mira\0", session, NULL));
	session_set_account(session, "mira");
	assert_non_null(idle_exempt_find("owner:mira\0", session, NULL));
	assert_non_null(idle_exempt_find("owner:CORP\\mira\0", session, NULL));
	session_free(session);
}

static void an_item_that_means_nothing_is_named(void **state)
{
	static const char *const wrong[] = {"keep",   "tag:",  "tag",       "tag:=x",
					    "owner:", "name:", "type:both", "group:wheel"};
	struct error err = {0};

	(void)state;
	assert_int_equal(idle_exempt_check("tag:a\0tag:a=\0owner:b\0name:*\0type:Console\0", &err),
			 0);
	assert_int_equal(idle_exempt_check("\0", &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char list[32] = {0};

		(void)snprintf(list, sizeof(list) - 1, "%s", wrong[i]);
		assert_int_equal(idle_exempt_check(list, &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.message, wrong[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tag_of_the_host_exempts_all_of_its_sessions),
		cmocka_unit_test(owner_name_and_type_are_the_sessions),
		cmocka_unit_test(an_owner_is_exempt_by_the_name_of_the_account_too),
		cmocka_unit_test(an_item_that_means_nothing_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
