#include <string.h>

#include "common/json.h"
#include "common/requests.h"
#include "tests/unit/unit.h"

static int read_request(const struct param_table *table, const char *text, void *ret,
			json_t **ret_json, struct error *err)
{
	if (json_parse(text, strlen(text), ret_json, err) < 0)
		return -2;
	return params_read(table, *ret_json, ret, err);
}

static void every_field_of_a_creation_is_read(void **state)
{
	static const char text[] =
		"{\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"Virtual\",\"InitFile\":\"i\","
		"\"InitFilePath\":\"/i\",\"MaxConcurrentClients\":4,\"DcvGlEnabled\":true,"
		"\"PermissionsFile\":\"p\",\"EnqueueRequest\":true,\"AutorunFile\":\"a\","
		"\"AutorunFileArguments\":[\"\",\"x\"],\"DisableRetryOnFailure\":true,"
		"\"Requirements\":\"r\",\"StorageRoot\":\"%home%\"}";
	struct create_session_request r;
	json_auto_t *json = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(read_request(&create_sessions_params, text, &r, &json, &err), 0);
	assert_string_equal(r.name, "n");
	assert_string_equal(r.owner, "o");
	assert_string_equal(r.type, "VIRTUAL");
	assert_string_equal(r.init_file, "i");
	assert_string_equal(r.init_file_path, "/i");
	assert_int_equal(r.max_concurrent_clients, 4);
	assert_true(r.dcv_gl_enabled);
	assert_string_equal(r.permissions_file, "p");
	assert_true(r.enqueue_request);
	assert_string_equal(r.autorun_file, "a");
	assert_int_equal(json_array_size(r.autorun_file_arguments), 2);
	assert_true(r.disable_retry_on_failure);
	assert_string_equal(r.requirements, "r");
	assert_string_equal(r.storage_root, "%home%");
}

static void the_spellings_of_older_clients_are_read(void **state)
{
	static const char text[] =
		"{\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"console\",\"MaxConcurrents\":2,"
		"\"DcvGLEnabled\":true,\"PermissionFile\":\"p\"}";
	struct create_session_request r;
	struct update_session_permissions_request update;
	json_auto_t *json = NULL, *update_json = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(read_request(&create_sessions_params, text, &r, &json, &err), 0);
	assert_string_equal(r.type, "CONSOLE");
	assert_int_equal(r.max_concurrent_clients, 2);
	assert_true(r.dcv_gl_enabled && r.has_dcv_gl_enabled);
	assert_string_equal(r.permissions_file, "p");
	assert_int_equal(
		read_request(&update_session_permissions_params,
			     "{\"SessionId\":\"s\",\"Owner\":\"o\",\"PermissionFile\":\"p\"}",
			     &update, &update_json, &err),
		0);
	assert_string_equal(update.permissions_file, "p");
}

static void each_request_has_its_limits(void **state)
{
	static const struct {
		const struct param_table *table;
		const char *text, *message;
	} cases[] = {
		{&create_sessions_params, "{\"Owner\":\"o\",\"Type\":\"VIRTUAL\"}",
		 "Name is required"},
		{&create_sessions_params, "{\"Name\":\"n\",\"Type\":\"VIRTUAL\"}",
		 "Owner is required"},
		{&create_sessions_params, "{\"Name\":\"n\",\"Owner\":\"o\"}", "Type is required"},
		{&create_sessions_params, "{\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"x\"}",
		 "Type must be one of CONSOLE, VIRTUAL"},
		{&create_sessions_params,
		 "{\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"VIRTUAL\",\"MaxConcurrentClients\":0}",
		 "MaxConcurrentClients must be between 1 and 2147483647"},
		{&describe_sessions_params, "{\"MaxResults\":0}",
		 "MaxResults must be between 1 and 1000"},
		{&describe_sessions_params, "{\"MaxResults\":1001}",
		 "MaxResults must be between 1 and 1000"},
		{&describe_sessions_params, "{\"SessionIds\":[\"\"]}",
		 "SessionIds must not contain empty strings"},
		{&describe_sessions_params, "{\"Filters\":[{\"Key\":\"owner\"}]}",
		 "Filters: Value is required"},
		{&describe_sessions_params, "{\"Filters\":[{\"Key\":\"tag:\",\"Value\":\"x\"}]}",
		 "Filters: Key must be one of owner, tag:*"},
		{&describe_sessions_params, "{\"Filters\":[{\"Key\":\"Owner\",\"Value\":\"x\"}]}",
		 "Filters: Key must be one of owner, tag:*"},
		{&describe_sessions_params, "{\"Filters\":[{\"Key\":\"owner2\",\"Value\":\"x\"}]}",
		 "Filters: Key must be one of owner, tag:*"},
		{&delete_sessions_params, "{\"SessionId\":\"s\"}", "Owner is required"},
		{&update_session_permissions_params, "{\"SessionId\":\"s\",\"Owner\":\"o\"}",
		 "PermissionsFile is required"},
		{&get_session_connection_data_params, "{\"SessionId\":\"s\",\"User\":\" \"}",
		 "User must not be blank"},
		{&describe_servers_params, "{\"MaxResults\":-1}",
		 "MaxResults must be between 1 and 1000"},
		{&open_servers_params, "{}", "ServerId is required"},
		{&close_servers_params, "{\"ServerId\":\"s\",\"Force\":\"yes\"}",
		 "Force must be true or false"},
	};
	_Alignas(max_align_t) char request[512];
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_auto_t *json = NULL;

		assert_in_range(cases[i].table->size, 1, sizeof(request));
		assert_fails(read_request(cases[i].table, cases[i].text, request, &json, &err),
			     ERR_INVALID);
		assert_string_equal(err.message, cases[i].message);
	}
}

/* A client repeats its call without the bounds when the text of the refusal has their names. */
static void a_bad_bound_of_a_screenshot_is_refused_by_name(void **state)
{
	struct get_session_screenshot_request r;
	struct error err;

	(void)state;
	for (int is_height = 0; is_height < 2; is_height++) {
		json_auto_t *zero = json_pack("{s:s,s:i}", "SessionId", "s",
					      is_height ? "MaxHeight" : "MaxWidth", 0);

		assert_fails(params_read(&get_session_screenshots_params, zero, &r, &err),
			     ERR_INVALID);
		assert_non_null(strstr(err.message, is_height ? "MaxHeight" : "MaxWidth"));
	}
}

static void a_name_may_have_256_characters(void **state)
{
	struct create_session_request r;
	struct error err = {0};
	char name[600] = "";

	(void)state;
	for (int i = 0; i < 256; i++)
		strcat(name, "\u00e9");
	for (int i = 0; i < 2; i++) {
		json_auto_t *json =
			json_pack("{s:s,s:s,s:s}", "Name", name, "Owner", "o", "Type", "VIRTUAL");

		assert_int_equal(params_read(&create_sessions_params, json, &r, &err), -i);
		strcat(name, "x");
	}
	assert_string_equal(err.message, "Name must have at most 256 characters");
}

static void a_filter_may_look_for_an_empty_value(void **state)
{
	struct describe_sessions_request r;
	struct error err = {0};
	json_auto_t *json = NULL;

	(void)state;
	assert_int_equal(read_request(&describe_sessions_params,
				      "{\"Filters\":[{\"Key\":\"tag:x\",\"Value\":\"\"}]}", &r,
				      &json, &err),
			 0);
	assert_int_equal(json_array_size(r.filters), 1);
}

static void what_no_platform_has_is_refused(void **state)
{
	static const struct {
		const char *type, *field, *message; /* NULL: it is fine */
	} cases[] = {
		{"CONSOLE", "\"InitFile\":\"a\"", "InitFile is not supported for CONSOLE sessions"},
		{"CONSOLE", "\"InitFilePath\":\"/a\"",
		 "InitFilePath is not supported for CONSOLE sessions"},
		{"console", "\"DcvGlEnabled\":true",
		 "DcvGlEnabled is not supported for CONSOLE sessions"},
		{"CONSOLE", "\"AutorunFile\":\"a\",\"AutorunFileArguments\":[\"b\"]",
		 "AutorunFileArguments is not supported for CONSOLE sessions"},
		{"CONSOLE", "\"DcvGlEnabled\":false,\"AutorunFileArguments\":[],\"InitFile\":null",
		 NULL},
		{"CONSOLE", "\"AutorunFile\":\"a\"", NULL},
		{"VIRTUAL",
		 "\"InitFile\":\"a\",\"InitFilePath\":\"b\",\"DcvGlEnabled\":true,"
		 "\"AutorunFile\":\"a\",\"AutorunFileArguments\":[\"12345\",\"\u00e9\"]",
		 NULL},
		{"VIRTUAL", "\"AutorunFileArguments\":[\"a\"]",
		 "AutorunFileArguments needs AutorunFile"},
		{"VIRTUAL", "\"AutorunFile\":\"a\",\"AutorunFileArguments\":[\"\",\"\",\"\"]",
		 "AutorunFileArguments: at most 2 arguments allowed"},
		{"VIRTUAL", "\"AutorunFile\":\"a\",\"AutorunFileArguments\":[\"123456\"]",
		 "AutorunFileArguments: at most 5 characters allowed in an argument"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf_done) struct buf text = {0};
		struct create_session_request r;
		json_auto_t *json = NULL;
		struct error err = {0};

		assert_int_equal(buf_printf(&text, &err,
					    "{\"Name\":\"n\",\"Owner\":\"o\",\"Type\":\"%s\",%s}",
					    cases[i].type, cases[i].field),
				 0);
		assert_int_equal(read_request(&create_sessions_params, text.data, &r, &json, &err),
				 0);
		assert_int_equal(create_session_check(&r, 2, 5, &err), cases[i].message ? -1 : 0);
		assert_string_equal(err.message, cases[i].message ? cases[i].message : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_a_creation_is_read),
		cmocka_unit_test(the_spellings_of_older_clients_are_read),
		cmocka_unit_test(each_request_has_its_limits),
		cmocka_unit_test(a_bad_bound_of_a_screenshot_is_refused_by_name),
		cmocka_unit_test(a_name_may_have_256_characters),
		cmocka_unit_test(a_filter_may_look_for_an_empty_value),
		cmocka_unit_test(what_no_platform_has_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
