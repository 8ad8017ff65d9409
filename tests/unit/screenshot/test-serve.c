#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "screenshot/serve.h"

#define PARSE(request, text, err) serve_request_parse(text, sizeof(text) - 1, request, err)

static void a_request_says_what_is_wanted(void **state)
{
	struct serve_request request;
	struct error err = {0};

	(void)state;
	assert_int_equal(
		PARSE(&request, "TAG=a b\0FORMAT=jpeg\0MAX_WIDTH=160\0MAX_HEIGHT=65535\0", &err),
		0);
	assert_string_equal(request.tag, "a b");
	assert_int_equal(request.options.format, SCREENSHOT_JPEG);
	assert_int_equal(request.options.max_width, 160);
	assert_int_equal(request.options.max_height, 65535);
}

static void only_the_tag_is_required(void **state)
{
	struct serve_request request;
	struct error err = {0};

	(void)state;
	assert_int_equal(PARSE(&request, "TAG=\0", &err), 0);
	assert_int_equal(request.options.format, SCREENSHOT_PNG);
	assert_int_equal(request.options.max_width, 0);
	assert_int_equal(request.options.max_height, 0);
	assert_int_equal(PARSE(&request, "FORMAT=png\0", &err), -1);
	assert_string_equal(err.message, "the request has no TAG");
}

static void a_bad_request_is_refused_under_its_tag(void **state)
{
	static const char *const bad[] = {
		"FORMAT=gif",      "FORMAT=",           "FORMAT=PNG",     "MAX_WIDTH=",
		"MAX_WIDTH=-1",    "MAX_WIDTH=+1",      "MAX_WIDTH= 1",   "MAX_WIDTH=1x",
		"MAX_WIDTH=65536", "MAX_HEIGHT=000001", "MAX_HEIGHT=1.5", "UNKNOWN=1",
		"TAG=again",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct serve_request request;
		struct error err = {0};
		char packet[64];
		int len = snprintf(packet, sizeof(packet), "TAG=7%c%s", 0, bad[i]);

		assert_int_equal(serve_request_parse(packet, (size_t)len + 1, &request, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_string_equal(request.tag, "7");
	}
}

static void what_is_too_long_is_refused_without_a_tag(void **state)
{
	struct serve_request request;
	struct error err = {0};
	char packet[SERVE_REQUEST_MAX_BYTES + 1] = "TAG=";

	(void)state;
	memset(packet + 4, 'x', SERVE_TAG_MAX_BYTES + 1);
	assert_int_equal(serve_request_parse(packet, 4 + SERVE_TAG_MAX_BYTES + 2, &request, &err),
			 -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(request.tag, "");
	assert_int_equal(serve_request_parse(packet, sizeof(packet), &request, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
	assert_string_equal(request.tag, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_says_what_is_wanted),
		cmocka_unit_test(only_the_tag_is_required),
		cmocka_unit_test(a_bad_request_is_refused_under_its_tag),
		cmocka_unit_test(what_is_too_long_is_refused_without_a_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
