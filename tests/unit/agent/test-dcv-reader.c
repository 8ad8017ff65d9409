/* What DCV servers of several ages print. */
#include "agent/engines/dcv-reader.h"
#include "common/json.h"
#include "common/log.h"
#include "tests/unit/unit.h"

#include <string.h>

static struct dcv_session *nth(const struct dcv_sessions *sessions, size_t n)
{
	list_for_each (s, &sessions->sessions, struct dcv_session, link) {
		if (n-- == 0)
			return s;
	}
	return NULL;
}

static int read_sessions(const char *text, struct dcv_sessions *ret, struct error *err)
{
	return dcv_read_sessions(text, strlen(text), ret, err);
}

static void a_session_has_what_json_tells(void **state)
{
	struct dcv_sessions sessions;
	struct error err;
	const struct dcv_session *s;

	(void)state;
	assert_int_equal(
		read_sessions("[{\"id\":\"k (1)\",\"owner\":\"DOM\\\\olga\",\"user\":\"olga\","
			      "\"name\":\"it's\",\"num-of-connections\":\"2\",\"type\":\"virtual\","
			      "\"creation-time\":\"2031-04-05T06:07:08.910111Z\","
			      "\"last-disconnection-time\":\"2031-04-05T07:00:00Z\","
			      "\"storage-root\":\"\",\"x11-display\":\":3\",\"new\":[{}]}]\n",
			      &sessions, &err),
		0);
	s = nth(&sessions, 0);
	assert_string_equal(s->id, "k (1)");
	assert_string_equal(s->owner, "DOM\\olga");
	assert_string_equal(s->user, "olga");
	assert_string_equal(s->name, "it's");
	assert_null(s->storage_root);
	assert_int_equal(s->n_connections, 2);
	assert_int_equal(s->disconnection_time_ms - s->creation_time_ms, 3171090);
	assert_true(s->has_display);
	assert_false(s->is_console);
	assert_false(sessions.is_partial);
	dcv_sessions_done(&sessions);
}

static void one_bad_entry_does_not_spoil_the_list(void **state)
{
	struct dcv_sessions sessions;
	struct error err;

	(void)state;
	assert_int_equal(read_sessions("[{\"id\":7,\"owner\":\"a\",\"type\":\"virtual\"},null,"
				       "{\"id\":\"b\",\"owner\":\"a\",\"type\":\"CONSOLE\"}]",
				       &sessions, &err),
			 0);
	assert_string_equal(nth(&sessions, 0)->id, "b");
	assert_true(nth(&sessions, 0)->is_console);
	assert_null(nth(&sessions, 1));
	assert_true(sessions.is_partial);
	dcv_sessions_done(&sessions);
}

static void lines_are_read_with_and_without_quotes(void **state)
{
	struct dcv_sessions sessions;
	struct error err;

	(void)state;
	assert_int_equal(
		read_sessions("Session: 'a (b)' (owner:olga type:virtual name:'it's (one)')\r\n"
			      "Session: console (owner:root type:console)\r\n",
			      &sessions, &err),
		0);
	assert_string_equal(nth(&sessions, 0)->id, "a (b)");
	assert_string_equal(nth(&sessions, 0)->owner, "olga");
	assert_string_equal(nth(&sessions, 0)->name, "it's (one)");
	assert_string_equal(nth(&sessions, 1)->id, "console");
	assert_true(nth(&sessions, 1)->is_console);
	dcv_sessions_done(&sessions);
}

static void a_name_cannot_feign_an_owner(void **state)
{
	struct dcv_sessions sessions;
	struct error err;

	(void)state;
	assert_int_equal(read_sessions("Session: k (owner:olga type:virtual name:'x' (owner:root "
				       "type:virtual name:'y')\n",
				       &sessions, &err),
			 0);
	assert_string_equal(nth(&sessions, 0)->id, "k");
	assert_string_equal(nth(&sessions, 0)->owner, "olga");
	dcv_sessions_done(&sessions);
}

static void an_empty_list_says_so(void **state)
{
	static const char *const empty[] = {"[]", "{\"sessions\": []}\n",
					    "There are no sessions available.\n"};
	static const char *const none[] = {"",
					   " \n",
					   "[",
					   "[] []",
					   "7",
					   "Segmentation fault",
					   "[{\"id\":\"a\",\"id\":\"b\"}]",
					   "Could not connect"};
	struct dcv_sessions sessions;
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
		assert_int_equal(read_sessions(empty[i], &sessions, &err), 0);
		assert_true(list_is_empty(&sessions.sessions) && !sessions.is_partial);
		dcv_sessions_done(&sessions);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		assert_fails(read_sessions(none[i], &sessions, &err), ERR_INVALID);
		dcv_sessions_done(&sessions);
	}
}

static void endpoints_have_http_first_in_every_form(void **state)
{
	const char *text = "{\"endpoints\":[{\"type\":\"udp\",\"host\":\"::\",\"port\":\"8444\"},"
			   "{\"transport\":\"WSS\",\"ip\":\"192.0.2.1\",\"port\":8443,"
			   "\"url-path\":\"/dcv\"},{\"protocol\":\"gopher\",\"port\":70},"
			   "{\"protocol\":\"http\",\"port\":70000}]}";
	json_auto_t *endpoints = NULL, *expected = NULL;
	struct error err;

	(void)state;
	assert_int_equal(dcv_read_endpoints(text, strlen(text), &endpoints, &err), 0);
	expected = json_pack("[{s:i,s:s,s:s,s:s},{s:i,s:s,s:s}]", "Port", 8443, "Protocol", "HTTP",
			     "IpAddress", "192.0.2.1", "WebUrlPath", "/dcv", "Port", 8444,
			     "Protocol", "QUIC", "IpAddress", "::");
	assert_true(json_equal(endpoints, expected));
	json_decref(endpoints);
	endpoints = NULL;
	assert_fails(dcv_read_endpoints("[]", 2, &endpoints, &err), ERR_INVALID);
}

static void endpoints_that_are_not_listed_come_from_the_settings(void **state)
{
	static const struct {
		const char *text, *expected;
	} forms[] = {
		{"", "[{\"Port\":8443,\"Protocol\":\"HTTP\",\"WebUrlPath\":\"/\"},"
		     "{\"Port\":8443,\"Protocol\":\"QUIC\"}]"},
		{"web-port=1\n[connectivity]\r\n web-port = 9443 \r\n#quic-port=5\n"
		 "web-url-path='/dcv'\nenable-quic-frontend=false\nweb-ports=4\n"
		 "[session-management/defaults]\nweb-port=7\n\n",
		 "[{\"Port\":9443,\"Protocol\":\"HTTP\",\"WebUrlPath\":\"/dcv\"}]"},
		{"[connectivity]\nquic-port=\"1222\"\nweb-port=",
		 "[{\"Port\":8443,\"Protocol\":\"HTTP\",\"WebUrlPath\":\"/\"},"
		 "{\"Port\":1222,\"Protocol\":\"QUIC\"}]"},
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		json_auto_t *endpoints = NULL, *expected = NULL;

		assert_int_equal(dcv_read_config_endpoints(forms[i].text, &endpoints, &err), 0);
		assert_int_equal(
			json_parse(forms[i].expected, strlen(forms[i].expected), &expected, &err),
			0);
		assert_true(json_equal(endpoints, expected));
	}
}

static void the_version_is_found_in_what_is_printed(void **state)
{
	static const char *const forms[][2] = {
		{"{\"version\":\"2025.0.20103\"}", "2025.0.20103"},
		{"Amazon DCV 2024.0 (r12345)\n", "2024.0 (r12345)"},
		{"NICE DCV 2020.2-9662", "2020.2-9662"},
		{"2023.1", "2023.1"},
	};
	struct error err;
	char *none = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		AUTO(free_p) char *version = NULL;

		assert_int_equal(dcv_read_version(forms[i][0], strlen(forms[i][0]), &version, &err),
				 0);
		assert_string_equal(version, forms[i][1]);
	}
	assert_fails(dcv_read_version("no 12345.6", 10, &none, &err), ERR_INVALID);
	assert_fails(dcv_read_version("", 0, &none, &err), ERR_INVALID);
}

static void a_picture_is_what_its_bytes_are(void **state)
{
	static const char png[] = "{\"format\":\"jpeg\",\"base64\":\"iVBORw0KGgoAAAAN\"}";
	static const char *const bad[] = {"{}", "{\"base64\":\"aGFsbG8=\"}", "{\"base64\":\"!\"}",
					  "[7]", "{\"base64\":\"\"}"};
	AUTO(buf_done) struct buf picture = {0};
	const char *format;
	struct error err;

	(void)state;
	assert_int_equal(dcv_read_screenshot(png, strlen(png), &picture, &format, &err), 0);
	assert_string_equal(format, "png");
	assert_int_equal(picture.len, 12);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_fails(dcv_read_screenshot(bad[i], strlen(bad[i]), &picture, &format, &err),
			     ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_has_what_json_tells),
		cmocka_unit_test(one_bad_entry_does_not_spoil_the_list),
		cmocka_unit_test(lines_are_read_with_and_without_quotes),
		cmocka_unit_test(a_name_cannot_feign_an_owner),
		cmocka_unit_test(an_empty_list_says_so),
		cmocka_unit_test(endpoints_have_http_first_in_every_form),
		cmocka_unit_test(endpoints_that_are_not_listed_come_from_the_settings),
		cmocka_unit_test(the_version_is_found_in_what_is_printed),
		cmocka_unit_test(a_picture_is_what_its_bytes_are),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
