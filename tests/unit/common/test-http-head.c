#include <string.h>

#include "common/http-head.h"
#include "tests/unit/unit.h"

/* Reads a copy of @text, which must outlive what is read. */
static int read_head(const char *text, char *copy, struct http_head *head, struct error *err)
{
	size_t len = strlen(text);

	memcpy(copy, text, len + 1);
	assert_int_equal(http_head_length(copy, len, 0), len);
	return http_head_read(copy, len, head, err);
}

static void the_end_of_a_head_is_found_however_it_arrives(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nA: b\r\n\r\nmore";
	size_t whole = sizeof(text) - 1 - strlen("more");

	(void)state;
	for (size_t seen = 0; seen < whole; seen++) {
		assert_int_equal(http_head_length(text, seen, 0), 0);
		assert_int_equal(http_head_length(text, whole, seen), whole);
		assert_int_equal(http_head_length(text, sizeof(text) - 1, seen), whole);
	}
}

static void a_head_is_cut_into_its_parts(void **state)
{
	struct http_head head;
	struct error err = {0};
	char copy[256];
	const char *value;

	(void)state;
	assert_int_equal(read_head("PUT //a%20b?c=%20&d HTTP/1.1\r\nHost:x\r\nEmpty:\r\n"
				   "Blank: \t \r\nLong: \t two  words \t\r\n\r\n",
				   copy, &head, &err),
			 0);
	assert_string_equal(head.method, "PUT");
	assert_string_equal(head.path, "/a b");
	assert_string_equal(head.query, "c=%20&d");
	assert_false(head.is_1_0);
	assert_int_equal(head.n_fields, 4);
	assert_int_equal(http_head_field(&head, "hOST", &value, &err), 0);
	assert_string_equal(value, "x");
	assert_int_equal(http_head_field(&head, "Empty", &value, &err), 0);
	assert_string_equal(value, "");
	assert_int_equal(http_head_field(&head, "Blank", &value, &err), 0);
	assert_string_equal(value, "");
	assert_int_equal(http_head_field(&head, "Long", &value, &err), 0);
	assert_string_equal(value, "two  words");
	assert_int_equal(http_head_field(&head, "Hos", &value, &err), 0);
	assert_null(value);
}

static void the_target_is_a_path_or_a_whole_url(void **state)
{
	static const struct {
		const char *head, *path, *query;
	} cases[] = {
		{"GET / HTTP/1.0\r\n\r\n", "/", ""},
		{"GET /// HTTP/1.0\r\n\r\n", "/", ""},
		{"GET /a//b HTTP/1.0\r\n\r\n", "/a//b", ""},
		{"GET /%2f%2F HTTP/1.0\r\n\r\n", "///", ""},
		{"GET /a? HTTP/1.0\r\n\r\n", "/a", ""},
		{"GET /a?b%00?c HTTP/1.0\r\n\r\n", "/a", "b%00?c"},
		{"GET http://host:1/a?b HTTP/1.0\r\n\r\n", "/a", "b"},
		{"GET HTTPS://host//a HTTP/1.0\r\n\r\n", "/a", ""},
	};
	struct http_head head;
	struct error err = {0};
	char copy[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(read_head(cases[i].head, copy, &head, &err), 0);
		assert_string_equal(head.path, cases[i].path);
		assert_string_equal(head.query, cases[i].query);
		assert_true(head.is_1_0);
	}
}

static void ill_formed_heads_are_refused(void **state)
{
	static const char *const bad[] = {
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET /\r\n\r\n",
		" GET / HTTP/1.1\r\n\r\n",
		"GET  / HTTP/1.1\r\n\r\n",
		"GET /  HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1 \r\n\r\n",
		"GET / http/1.1\r\n\r\n",
		"GET / HTTP/1.2\r\n\r\n",
		"G@T / HTTP/1.1\r\n\r\n",
		"GET a HTTP/1.1\r\n\r\n",
		"GET * HTTP/1.1\r\n\r\n",
		"GET http://host HTTP/1.1\r\n\r\n",
		"GET http://host?/a HTTP/1.1\r\n\r\n",
		"GET /%0 HTTP/1.1\r\n\r\n",
		"GET /%g0 HTTP/1.1\r\n\r\n",
		"GET /%00 HTTP/1.1\r\n\r\n",
		"GET /\x7f HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n",
		"GET / HTTP/1.1\r\n: x\r\n\r\n",
		"GET / HTTP/1.1\r\nA : x\r\n\r\n",
		"GET / HTTP/1.1\r\nA: x\r\n y\r\n\r\n",
		"GET / HTTP/1.1\r\nA: x\ny\r\n\r\n",
		"GET / HTTP/1.1\r\nA: x\ry\r\n\r\n",
		"GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
	};
	struct http_head head;
	struct error err;
	char copy[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t len = strlen(bad[i]);

		memcpy(copy, bad[i], len + 1);
		if (http_head_read(copy, len, &head, &err) == 0)
			fail_msg("'%s' was accepted", bad[i]);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void a_nul_is_refused_wherever_it_is(void **state)
{
	static const char text[] = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
	struct http_head head;
	struct error err;
	char copy[sizeof(text)];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		memcpy(copy, text, sizeof(text));
		copy[i] = '\0';
		assert_fails(http_head_read(copy, sizeof(text) - 1, &head, &err), ERR_INVALID);
	}
}

static void a_field_that_comes_twice_is_refused_where_it_may_come_once(void **state)
{
	struct http_head head;
	struct error err;
	char copy[256];
	const char *value;

	(void)state;
	assert_int_equal(read_head("GET / HTTP/1.1\r\nA: 1\r\na: 1\r\n\r\n", copy, &head, &err), 0);
	assert_fails(http_head_field(&head, "A", &value, &err), ERR_INVALID);
}

static void a_token_is_found_in_every_list_of_that_name(void **state)
{
	struct http_head head;
	struct error err;
	char copy[256];

	(void)state;
	assert_int_equal(read_head("GET / HTTP/1.1\r\nL: ,a,  Bee\t,\r\nM: m\r\nl: last\r\n\r\n",
				   copy, &head, &err),
			 0);
	assert_true(http_head_has_token(&head, "L", "a"));
	assert_true(http_head_has_token(&head, "L", "bee"));
	assert_true(http_head_has_token(&head, "l", "LAST"));
	assert_false(http_head_has_token(&head, "L", "be"));
	assert_false(http_head_has_token(&head, "L", "m"));
	assert_false(http_head_has_token(&head, "N", "a"));
}

static void more_fields_than_there_is_room_for_are_refused(void **state)
{
	AUTO(free_p) struct http_head *head = malloc(sizeof(*head));
	char text[1024] = "GET / HTTP/1.1\r\n";
	struct error err;

	(void)state;
	assert_non_null(head);
	for (int i = 0; i < HTTP_FIELDS_MAX; i++)
		(void)strcat(text, "A: b\r\n");
	(void)strcat(text, "\r\n");
	assert_int_equal(http_head_read(text, strlen(text), head, &err), 0);
	assert_int_equal(head->n_fields, HTTP_FIELDS_MAX);
	(void)strcpy(text, "GET / HTTP/1.1\r\n");
	for (int i = 0; i <= HTTP_FIELDS_MAX; i++)
		(void)strcat(text, "A: b\r\n");
	(void)strcat(text, "\r\n");
	assert_fails(http_head_read(text, strlen(text), head, &err), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_of_a_head_is_found_however_it_arrives),
		cmocka_unit_test(a_head_is_cut_into_its_parts),
		cmocka_unit_test(the_target_is_a_path_or_a_whole_url),
		cmocka_unit_test(ill_formed_heads_are_refused),
		cmocka_unit_test(a_nul_is_refused_wherever_it_is),
		cmocka_unit_test(a_field_that_comes_twice_is_refused_where_it_may_come_once),
		cmocka_unit_test(a_token_is_found_in_every_list_of_that_name),
		cmocka_unit_test(more_fields_than_there_is_room_for_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
