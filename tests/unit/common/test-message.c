#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/message.h"

#define PARSE(message, text, err) message_parse(message, text, sizeof(text) - 1, err)

static void values_are_found_by_name(void **state)
{
	struct message message;
	struct error err = {0};

	(void)state;
	assert_int_equal(PARSE(&message, "TAG=7\0MAX_WIDTH=160\0EMPTY=\0", &err), 0);
	assert_string_equal(message_get(&message, "TAG"), "7");
	assert_string_equal(message_get(&message, "MAX_WIDTH"), "160");
	assert_string_equal(message_get(&message, "EMPTY"), "");
	assert_null(message_get(&message, "MAX"));
	assert_null(message_get(&message, "TAG="));
	assert_null(message_get(&message, ""));
}

static void a_value_may_hold_anything_but_nul(void **state)
{
	struct message message;
	struct error err = {0};

	(void)state;
	assert_int_equal(PARSE(&message, "A=b=c\nD=\xff\x01 '\"\0", &err), 0);
	assert_string_equal(message_get(&message, "A"), "b=c\nD=\xff\x01 '\"");
	assert_null(message_get(&message, "D"));
}

static void repeated_names_come_in_order(void **state)
{
	struct message message;
	struct error err = {0};
	char seen[32] = "";

	(void)state;
	assert_int_equal(PARSE(&message, "ARGUMENT=a\0OWNER=x\0ARGUMENT=b\0ARGUMENT=\0", &err), 0);
	for (const char *entry = NULL; (entry = message_next(&message, entry));) {
		const char *value = message_value(entry, "ARGUMENT");

		strcat(seen, value ? value : "-");
		strcat(seen, ",");
	}
	assert_string_equal(seen, "a,-,b,,");
	assert_string_equal(message_get(&message, "ARGUMENT"), "a");
}

static void what_is_not_name_value_is_refused(void **state)
{
	struct message message = {.data = "before", .len = 6};
	struct error err = {0};

	(void)state;
	assert_int_equal(message_parse(&message, "", 0, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(message_parse(&message, NULL, 0, &err), -1);
	assert_int_equal(PARSE(&message, "TAG=1", &err), -1);
	assert_int_equal(PARSE(&message, "TAG=1\0OPEN", &err), -1);
	assert_int_equal(PARSE(&message, "TAG\0", &err), -1);
	assert_int_equal(PARSE(&message, "=1\0", &err), -1);
	assert_int_equal(PARSE(&message, "tag=1\0", &err), -1);
	assert_int_equal(PARSE(&message, "T4G=1\0", &err), -1);
	assert_int_equal(PARSE(&message, "TAG =1\0", &err), -1);
	assert_int_equal(PARSE(&message, "\0", &err), -1);
	assert_int_equal(PARSE(&message, "TAG=1\0\0", &err), -1);
	assert_int_equal(PARSE(&message, "\0TAG=1\0", &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	/* nothing was handed out */
	assert_string_equal(message.data, "before");
}

static void unknown_and_repeated_names_can_be_refused(void **state)
{
	static const char *const names[] = {"TAG", "FORMAT", NULL};
	struct message message;
	struct error err = {0};

	(void)state;
	assert_int_equal(PARSE(&message, "FORMAT=png\0TAG=1\0", &err), 0);
	assert_int_equal(message_expect(&message, names, &err), 0);
	assert_int_equal(PARSE(&message, "FORMAT=png\0TAGS=1\0", &err), 0);
	assert_int_equal(message_expect(&message, names, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(err.message, "the message has an unknown entry TAGS");
	assert_int_equal(PARSE(&message, "TAG=1\0FORMAT=png\0TAG=1\0", &err), 0);
	assert_int_equal(message_expect(&message, names, &err), -1);
	assert_string_equal(err.message, "the message has TAG twice");
}

static void what_is_added_is_read_back(void **state)
{
	AUTO(buf_done) struct buf buf = {0};
	struct message message;
	struct error err = {0};
	char big[5000];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(message_add(&buf, "TAG", "", &err), 0);
	assert_int_equal(message_add(&buf, "BIG", big, &err), 0);
	assert_int_equal(message_parse(&message, buf.data, buf.len, &err), 0);
	assert_string_equal(message_get(&message, "TAG"), "");
	assert_string_equal(message_get(&message, "BIG"), big);
}

static void a_bad_name_is_not_added(void **state)
{
	static const char *const bad[] = {"", "tag", "TAG=", "A B", "A1", "A\n"};
	AUTO(buf_done) struct buf buf = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(message_add(&buf, "TAG", "1", &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(message_add(&buf, bad[i], "1", &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
	assert_int_equal(buf.len, sizeof("TAG=1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found_by_name),
		cmocka_unit_test(a_value_may_hold_anything_but_nul),
		cmocka_unit_test(repeated_names_come_in_order),
		cmocka_unit_test(what_is_not_name_value_is_refused),
		cmocka_unit_test(unknown_and_repeated_names_can_be_refused),
		cmocka_unit_test(what_is_added_is_read_back),
		cmocka_unit_test(a_bad_name_is_not_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
