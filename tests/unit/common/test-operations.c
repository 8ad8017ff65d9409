#include <string.h>

#include "common/operations.h"
#include "tests/unit/unit.h"

/* The contract, written down a second time: a slip in the list must not pass unseen. */
static const struct {
	const char *name, *method, *path;
	enum operation_body body;
	enum operation_caller who;
} contract[] = {
	{"CreateSessions", "POST", "/createSessions", BODY_ELEMENTS, CALLER_OWNER},
	{"DescribeSessions", "POST", "/describeSessions", BODY_OBJECT, CALLER_OWNER},
	{"DeleteSessions", "POST", "/deleteSessions", BODY_ELEMENTS, CALLER_OWNER},
	{"UpdateSessionPermissions", "PUT", "/sessionPermissions", BODY_ELEMENTS, CALLER_OWNER},
	{"GetSessionConnectionData", "GET", "/sessionConnectionData/", BODY_PATH, CALLER_OWNER},
	{"GetSessionScreenshots", "POST", "/getSessionScreenshots", BODY_ELEMENTS, CALLER_OWNER},
	{"DescribeServers", "POST", "/describeServers", BODY_OBJECT, CALLER_ANYBODY},
	{"OpenServers", "POST", "/openServers", BODY_ELEMENTS, CALLER_ADMIN},
	{"CloseServers", "POST", "/closeServers", BODY_ELEMENTS, CALLER_ADMIN},
};

static void every_operation_is_found_by_method_and_path_and_by_name(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_SIZE(contract), N_OPERATIONS);
	for (size_t i = 0; i < ARRAY_SIZE(contract); i++) {
		const char *allow = NULL;
		struct error err = {0};
		const struct operation *op =
			operation_find(contract[i].method, contract[i].path, &allow, &err);

		assert_non_null(op);
		assert_string_equal(op->name, contract[i].name);
		assert_int_equal(op->body, contract[i].body);
		assert_int_equal(op->who, contract[i].who);
		assert_ptr_equal(operation_find_name(contract[i].name), op);
		assert_ptr_equal(&operations[op->id], op);
		assert_non_null(op->params);
		assert_int_not_equal(op->help[0], '\0');
	}
}

static void what_is_beyond_the_api_is_found_only_by_who_looks_for_it(void **state)
{
	const struct operation *op = &operation_get_session_log;
	const char *allow = NULL;
	struct error err = {0};

	(void)state;
	assert_true(operation_is(op, "POST", "/getSessionLog"));
	assert_false(operation_is(op, "GET", "/getSessionLog"));
	assert_false(operation_is(op, "POST", "/getSessionLogs"));
	assert_null(operation_find(op->method, op->path, &allow, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_null(operation_find_name(op->name));
}

static void the_values_of_a_path_follow_the_prefix(void **state)
{
	const char *allow = NULL;
	struct error err = {0};

	(void)state;
	assert_non_null(operation_find("GET", "/sessionConnectionData/id/user", &allow, &err));
	assert_non_null(operation_find("GET", "/sessionConnectionData/", &allow, &err));
	assert_null(operation_find("GET", "/sessionConnectionData", &allow, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void a_wrong_method_is_told_the_right_one(void **state)
{
	static const char *const methods[] = {"GET",   "POST", "PUT",     "DELETE",
					      "PATCH", "HEAD", "OPTIONS", "get"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(contract); i++) {
		for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
			const char *allow = NULL;
			struct error err = {0};

			if (strcmp(methods[m], contract[i].method) == 0)
				continue;
			assert_null(operation_find(methods[m], contract[i].path, &allow, &err));
			assert_int_equal(err.code, ERR_METHOD);
			assert_string_equal(allow, contract[i].method);
		}
	}
}

static void other_paths_are_no_operation(void **state)
{
	static const char *const paths[] = {
		"",
		"/",
		"/describeSessions/",
		"/describesessions",
		"/describeSessions2",
		"describeSessions",
		"/createSession",
		"/sessions/x",
	};
	const char *allow = NULL;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		err = (struct error){0};
		assert_null(operation_find("POST", paths[i], &allow, &err));
		assert_int_equal(err.code, ERR_NOT_FOUND);
		assert_null(allow);
	}
	assert_null(operation_find_name("describeSessions"));
	assert_null(operation_find_name(""));
}

static void only_opening_and_closing_have_failure_codes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OPERATIONS; i++) {
		const struct operation *op = &operations[i];
		bool has_codes = op->id == OPERATION_open_servers ||
				 op->id == OPERATION_close_servers;

		if (!has_codes) {
			assert_null(operation_failure_code(op, ERR_NOT_FOUND));
			continue;
		}
		assert_string_equal(operation_failure_code(op, ERR_NOT_FOUND),
				    "DCV_SERVER_NOT_FOUND");
		assert_string_equal(operation_failure_code(op, ERR_CONFLICT),
				    "DCV_SERVER_HAS_SESSIONS");
		assert_string_equal(operation_failure_code(op, ERR_TIMEOUT), "DCV_SERVER_ERROR");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_is_found_by_method_and_path_and_by_name),
		cmocka_unit_test(what_is_beyond_the_api_is_found_only_by_who_looks_for_it),
		cmocka_unit_test(the_values_of_a_path_follow_the_prefix),
		cmocka_unit_test(a_wrong_method_is_told_the_right_one),
		cmocka_unit_test(other_paths_are_no_operation),
		cmocka_unit_test(only_opening_and_closing_have_failure_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
