#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker-lite/host-names.h"
#include "common/cleanup.h"

static void extra_names_are_added_and_oddities_left_out(void **state)
{
	AUTO(buf_done) struct buf names = {0};
	struct error err;

	(void)state;
	assert_int_equal(host_names_append("a.example, 10.1.2.3,,x y;z,DNS:q", &names, &err), 0);
	assert_non_null(strstr(names.data, ",DNS:a.example,IP:10.1.2.3"));
	assert_non_null(strstr(names.data, "DNS:localhost"));
	assert_non_null(strstr(names.data, "IP:127.0.0.1,IP:::1"));
	assert_null(strchr(names.data, ';'));
	assert_null(strstr(names.data, "DNS:DNS"));
}

static void addresses_of_one_link_are_left_out(void **state)
{
	AUTO(buf_done) struct buf names = {0};
	struct error err;

	(void)state;
	assert_int_equal(host_names_append(NULL, &names, &err), 0);
	assert_null(strstr(names.data, "IP:fe80:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extra_names_are_added_and_oddities_left_out),
		cmocka_unit_test(addresses_of_one_link_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
