#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/page.h"

static void a_page_token_comes_back_as_it_was(void **state)
{
	AUTO(buf_done) struct buf token = {0};
	struct page_mark mark;
	struct error err;

	(void)state;
	assert_int_equal(page_token_append('s', "id\xff", "ser/ver+", &token, &err), 0);
	assert_int_equal(strspn(token.data, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					    "0123456789-_"),
			 token.len);
	assert_int_equal(page_token_read('s', token.data, &mark, &err), 0);
	assert_string_equal(mark.id, "id\xff");
	assert_string_equal(mark.server_id, "ser/ver+");
	page_mark_done(&mark);
	assert_int_equal(page_token_read('v', token.data, &mark, &err), -1);
	assert_int_equal(page_token_read('s', "", &mark, &err), -1);
	assert_int_equal(page_token_read('s', "c2E", &mark, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_token_comes_back_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
