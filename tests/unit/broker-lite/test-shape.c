#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker-lite/shape.h"

static void only_what_clients_can_read_is_copied(void **state)
{
	json_auto_t *reported = json_pack("{s:s,s:I,s:i,s:i,s:n}", "Id", "s", "NumOfConnections",
					  (json_int_t)1 << 31, "MaxConcurrentClients", -1, "Odd", 1,
					  "Name");
	json_auto_t *copy = shape_copy(&shape_session, reported);

	(void)state;
	assert_int_equal(json_object_size(copy), 1);
	assert_string_equal(json_string_value(json_object_get(copy, "Id")), "s");
}

static void bytes_have_64_bits(void **state)
{
	json_auto_t *reported = json_pack("{s:{s:{s:I,s:i}}}", "Host", "Memory", "TotalBytes",
					  (json_int_t)1 << 40, "UsedBytes", -1);
	json_auto_t *copy = shape_copy(&shape_server, reported);
	const json_t *memory = json_object_get(json_object_get(copy, "Host"), "Memory");

	(void)state;
	assert_int_equal(json_object_size(memory), 1);
	assert_int_equal(json_integer_value(json_object_get(memory, "TotalBytes")),
			 (json_int_t)1 << 40);
	/* lists are there, also where nothing was said about them */
	assert_int_equal(json_array_size(json_object_get(copy, "Tags")), 0);
	assert_true(json_is_array(json_object_get(copy, "Endpoints")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_clients_can_read_is_copied),
		cmocka_unit_test(bytes_have_64_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
