/** What every unit test includes: cmocka with the headers that it wants before itself. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/error.h"

/** @call failed with this code; the sentence is in the variable err of the caller. */
#define assert_fails(call, expected_code)                                                          \
	do {                                                                                       \
		err = (struct error){0};                                                           \
		assert_int_equal(call, -1);                                                        \
		assert_int_equal(err.code, expected_code);                                         \
		assert_int_not_equal(err.message[0], '\0');                                        \
	} while (0)

#endif
