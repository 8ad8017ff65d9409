#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static void an_error_has_a_code_and_a_sentence_and_is_always_minus_one(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(error_set(&err, ERR_CONFLICT, "session %s is %d", "s1", 7), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_string_equal(err.message, "session s1 is 7");
	assert_int_equal(error_prefix(&err, "delete '%s'", "s1"), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_string_equal(err.message, "delete 's1': session s1 is 7");
}

static void the_new_sentence_may_quote_the_old_one(void **state)
{
	struct error err = {0};

	(void)state;
	(void)error_set(&err, ERR_INVALID, "inner");
	(void)error_set(&err, ERR_SYSTEM, "outer (%s)", err.message);
	assert_string_equal(err.message, "outer (inner)");
}

static void errno_gives_code_and_words_and_survives(void **state)
{
	static const struct {
		int number;
		enum error_code code;
	} cases[] = {
		{ENOENT, ERR_NOT_FOUND},
		{EACCES, ERR_DENIED},
		{EPERM, ERR_DENIED},
		{ENOMEM, ERR_NO_MEMORY},
		{ECONNREFUSED, ERR_UNREACHABLE},
		{ETIMEDOUT, ERR_TIMEOUT},
		{EIO, ERR_SYSTEM},
	};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		errno = cases[i].number;
		assert_int_equal(error_errno(&err, "open %s", "/x"), -1);
		assert_int_equal(errno, cases[i].number);
		assert_int_equal(err.code, cases[i].code);
		assert_memory_equal(err.message, "open /x: ", 9);
		assert_string_equal(err.message + 9, strerror(cases[i].number));
	}
	errno = EINTR;
	(void)error_set(&err, ERR_SYSTEM, "%s", "x");
	assert_int_equal(errno, EINTR);
}

static void a_long_sentence_is_cut_and_still_a_text(void **state)
{
	struct error err = {0};
	char longer[2 * sizeof(err.message)];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	(void)error_set(&err, ERR_SYSTEM, "%s", longer);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	(void)error_prefix(&err, "%s", longer);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
}

static void every_code_has_a_wire_name_of_its_own_and_a_status(void **state)
{
	(void)state;
	for (int i = ERR_NONE + 1; i < ERR_CODE_COUNT; i++) {
		enum error_code code = (enum error_code)i;

		assert_non_null(error_wire_name(code));
		assert_int_equal(error_from_wire_name(error_wire_name(code)), code);
		assert_in_range(error_http_status(code), 400, 599);
		assert_int_equal(error_exit_status(code), code == ERR_USAGE ? 2 : 1);
	}
	assert_int_equal(error_http_status(ERR_NONE), 200);
	assert_int_equal(error_exit_status(ERR_NONE), 0);
}

static void a_peer_cannot_tell_of_an_error_that_is_none(void **state)
{
	(void)state;
	assert_int_equal(error_from_wire_name("NO_SUCH_NAME"), ERR_SYSTEM);
	assert_int_equal(error_from_wire_name(""), ERR_SYSTEM);
	assert_int_equal(error_from_wire_name("not_found"), ERR_SYSTEM);
	/* the answer of a failure: whoever acts on the code must see one */
	assert_int_equal(error_from_wire_name("NONE"), ERR_SYSTEM);
}

static void a_name_that_is_none_is_found_to_be_none(void **state)
{
	(void)state;
	for (int code = ERR_NONE + 1; code < ERR_CODE_COUNT; code++)
		assert_int_equal(error_find_wire_name(error_wire_name((enum error_code)code)),
				 code);
	assert_int_equal(error_find_wire_name(NULL), ERR_NONE);
	assert_int_equal(error_find_wire_name(""), ERR_NONE);
	assert_int_equal(error_find_wire_name("NO_SUCH_NAME"), ERR_NONE);
	assert_int_equal(error_find_wire_name("NONE"), ERR_NONE);
}

static void who_is_at_fault_can_be_told_and_corrected(void **state)
{
	static const bool blames_request[ERR_CODE_COUNT] = {
		[ERR_INVALID] = true,     [ERR_DENIED] = true,    [ERR_NOT_FOUND] = true,
		[ERR_UNSUPPORTED] = true, [ERR_TOO_LARGE] = true,
	};

	(void)state;
	for (int i = ERR_NONE + 1; i < ERR_CODE_COUNT; i++) {
		enum error_code code = (enum error_code)i;
		struct error err;

		assert_int_equal(error_blames_request(code), blames_request[i]);
		(void)error_set(&err, code, "no such file");
		assert_int_equal(error_blame_host(&err), -1);
		assert_int_equal(err.code, blames_request[i] ? ERR_SYSTEM : code);
		assert_string_equal(err.message, "no such file");
	}
	assert_false(error_blames_request(ERR_NONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_has_a_code_and_a_sentence_and_is_always_minus_one),
		cmocka_unit_test(the_new_sentence_may_quote_the_old_one),
		cmocka_unit_test(errno_gives_code_and_words_and_survives),
		cmocka_unit_test(a_long_sentence_is_cut_and_still_a_text),
		cmocka_unit_test(every_code_has_a_wire_name_of_its_own_and_a_status),
		cmocka_unit_test(a_peer_cannot_tell_of_an_error_that_is_none),
		cmocka_unit_test(a_name_that_is_none_is_found_to_be_none),
		cmocka_unit_test(who_is_at_fault_can_be_told_and_corrected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
