#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker-lite/screenshot-reply.h"
#include "common/cleanup.h"

#define IMAGE                                                                                      \
	"{\"Format\":\"png\",\"CreationTime\":\"2026-03-02T10:15:00.120Z\",\"Primary\":true,"      \
	"\"Data\":\"iVBORw0KGgo=\"}"
#define OTHER                                                                                      \
	"{\"Primary\":false,\"Data\":\"\",\"Format\":\"jpeg\",\"CreationTime\":"                   \
	"\"2026-03-02T10:15:00.120Z\"}"
#define REPLY(id, images)                                                                          \
	"{\"SessionScreenshot\":{\"SessionId\":\"" id "\",\"Images\":[" images "]}}"

static void the_images_are_passed_on_under_the_id_that_was_asked_for(void **state)
{
	static const char *const replies[][2] = {
		{REPLY("s\\\"\\\\1", IMAGE) "}", REPLY("s\\\"\\\\1", IMAGE)},
		{REPLY("another", IMAGE "," OTHER) "}", REPLY("s\\\"\\\\1", IMAGE "," OTHER)},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		AUTO(buf_done) struct buf text = {0};
		struct error err = {0};

		assert_int_equal(screenshot_reply_append("s\"\\1", replies[i][0],
							 strlen(replies[i][0]) - 1, &text, &err),
				 0);
		assert_string_equal(text.data, replies[i][1]);
	}
}

static void another_form_is_refused(void **state)
{
	static const char *const cases[] = {
		"{}",
		"{\"SessionScreenshot\":{}}",
		"{\"SessionId\":\"s\"}",
		REPLY("s", ""),
		REPLY("s", IMAGE ",") "",
		REPLY("s", "{\"Format\":\"png\"}"),
		REPLY("s",
		      "{\"Format\":\"gif\",\"CreationTime\":\"\",\"Primary\":true,\"Data\":\"\"}"),
		REPLY("s",
		      "{\"Format\":\"png\",\"CreationTime\":\"\",\"Primary\":1,\"Data\":\"\"}"),
		REPLY("s", "{\"Format\":\"png\",\"CreationTime\":\"\",\"Primary\":true,\"Data\":"
			   "\"\xff\"}"),
		REPLY("s", "{\"Format\":\"png\",\"Format\":\"png\",\"CreationTime\":\"\","
			   "\"Primary\":true,"
			   "\"Data\":\"\"}"),
		REPLY("s",
		      "{\"Format\":\"png\",\"CreationTime\":\"\",\"Primary\":true,\"Data\":\"\","
		      "\"Odd\":1}"),
		"{\"SessionScreenshot\":{\"SessionId\":\"s\",\"Images\":[" IMAGE "],\"Odd\":1}}",
		"{\"SessionScreenshot\":{\"SessionId\":\"s\",\"Images\":[" IMAGE "]},\"Odd\":1}",
		"{\"SessionScreenshot\":{\"Images\":[" IMAGE "],\"SessionId\":\"s\"}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf_done) struct buf text = {0};
		struct error err = {0};

		if (screenshot_reply_append("s", cases[i], strlen(cases[i]), &text, &err) == 0)
			fail_msg("%s", cases[i]);
		assert_int_equal(err.code, ERR_INVALID);
		assert_int_equal(text.len, 0);
	}
}

static bool is_passed_on(const char *data)
{
	AUTO(buf_done) struct buf body = {0}, text = {0};
	struct error err = {0};

	assert_int_equal(buf_printf(&body, &err,
				    "{\"SessionScreenshot\":{\"SessionId\":\"s\",\"Images\":[{"
				    "\"Format\":\"png\",\"CreationTime\":\"\",\"Primary\":true,"
				    "\"Data\":\"%s\"}]}}",
				    data),
			 0);
	return screenshot_reply_append("s", body.data, body.len, &text, &err) == 0;
}

/* At each place of what is looked at many characters at a time. */
static void data_has_the_characters_of_base64_and_no_others(void **state)
{
	static const char base64[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	char data[72];

	(void)state;
	for (size_t at = 0; at + 1 < sizeof(data); at++) {
		memset(data, 'A', sizeof(data) - 1);
		data[sizeof(data) - 1] = '\0';
		for (int c = 1; c < 256; c++) {
			data[at] = (char)c;
			assert_int_equal(is_passed_on(data), strchr(base64, c) != NULL);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_images_are_passed_on_under_the_id_that_was_asked_for),
		cmocka_unit_test(another_form_is_refused),
		cmocka_unit_test(data_has_the_characters_of_base64_and_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
