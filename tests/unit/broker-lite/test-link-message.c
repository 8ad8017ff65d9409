#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker-lite/link-message.h"
#include "broker-lite/span.h"
#include "common/cleanup.h"

static size_t span(const char *text)
{
	return json_object_span(text, strlen(text));
}

static void the_span_of_an_object_ends_with_its_brace(void **state)
{
	(void)state;
	assert_int_equal(span("{}"), 2);
	assert_int_equal(span("{}}"), 2);
	assert_int_equal(span("{\"a\":[1,{\"b\":\"}\\\"\\u00e9\"},[],{}],\"c\":-1.5e+3}x"), 45);
	assert_int_equal(span("{ \"a\" : [ ] , \"b\" : null }"), 26);
}

static void what_is_no_object_has_no_span(void **state)
{
	static const char *const cases[] = {
		"",
		"[]",
		"1",
		"{",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{\"a\":[1,]}",
		"{\"a\":01}",
		"{\"a\":\"\n\"}",
		"{\"a\":\"\\x\"}",
		"{\"a\":tru}",
		"{\"a\":1]",
		"{a:1}",
		"{\"a\":1 2}",
		"{\"a\":\"\\u00g0\"}",
		"{\"a\":-}",
		"{\"a\":1.}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (span(cases[i]) != 0)
			fail_msg("%s", cases[i]);
	}
}

static void a_reply_is_taken_apart(void **state)
{
	static const char text[] = "{\"id\":12,\"status\":404,\"body\":{\"error\":\"gone\","
				   "\"code\":\"NOT_FOUND\"}}";
	struct link_message message;
	struct error err = {0}, failure = {0};

	(void)state;
	assert_int_equal(link_message_read(text, sizeof(text) - 1, &message, &err), 0);
	assert_int_equal(message.kind, LINK_REPLY);
	assert_int_equal(message.id, 12);
	assert_int_equal(message.status, 404);
	link_message_read_failure(&message, &failure);
	assert_int_equal(failure.code, ERR_NOT_FOUND);
	assert_string_equal(failure.message, "gone");
}

static void other_messages_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"{}",
		"{\"event\":\"report\",\"body\":{}",
		"{\"event\":\"certificateRequest\",\"body\":[]}",
		"{\"event\":\"certificateRequest\",\"body\": {}}",
		"{\"event\":\"report\",\"body\":{}}}",
		"{\"event\":\"report\",\"body\":[]}",
		"{\"id\":1,\"status\":99,\"body\":{}}",
		"{\"id\":-1,\"status\":200,\"body\":{}}",
		"{\"id\":1,\"body\":{},\"status\":200}",
		"{\"id\":1234567890123456,\"status\":200,\"body\":{}}",
	};
	struct link_message message;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (link_message_read(cases[i], strlen(cases[i]), &message, &err) == 0)
			fail_msg("%s", cases[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_span_of_an_object_ends_with_its_brace),
		cmocka_unit_test(what_is_no_object_has_no_span),
		cmocka_unit_test(a_reply_is_taken_apart),
		cmocka_unit_test(other_messages_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
