#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "screenshot/pixel-format.h"

#define IS_BIG_ENDIAN (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

static void assert_converts(unsigned depth, unsigned bits, bool is_big_endian,
			    const uint32_t *masks, const void *pixel, unsigned red, unsigned green,
			    unsigned blue)
{
	static struct pixel_format format;
	struct error err = {0};
	uint8_t out[4];

	assert_int_equal(pixel_format_init(&format, depth, bits, is_big_endian, masks[0], masks[1],
					   masks[2], &err),
			 0);
	pixel_format_convert(&format, out, pixel, 1);
	assert_int_equal(out[0], blue);
	assert_int_equal(out[1], green);
	assert_int_equal(out[2], red);
}

static void channels_are_found_in_any_order(void **state)
{
	static const uint32_t bgrx[] = {0xff0000, 0xff00, 0xff}, rgbx[] = {0xff, 0xff00, 0xff0000};
	static const uint32_t high[] = {0xff000000, 0xff0000, 0xff00};

	(void)state;
	assert_converts(24, 32, false, bgrx, "\x01\x02\x03\x04", 3, 2, 1);
	assert_converts(24, 32, false, rgbx, "\x01\x02\x03\x04", 1, 2, 3);
	assert_converts(24, 32, false, high, "\x01\x02\x03\x04", 4, 3, 2);
	assert_converts(24, 32, true, bgrx, "\x01\x02\x03\x04", 2, 3, 4);
}

static void other_depths_reach_from_black_to_white(void **state)
{
	static const uint32_t deep[] = {0x3ff00000, 0xffc00, 0x3ff}, flat[] = {0xf800, 0x7e0, 0x1f};
	uint32_t wide = 1023u << 20 | 512u << 10 | 1;
	uint16_t narrow = 31 << 11 | 32 << 5 | 1;

	(void)state;
	assert_converts(30, 32, IS_BIG_ENDIAN, deep, &wide, 255, 128, 0);
	assert_converts(16, 16, IS_BIG_ENDIAN, flat, &narrow, 255, 130, 8);
	narrow = __builtin_bswap16(narrow);
	assert_converts(16, 16, !IS_BIG_ENDIAN, flat, &narrow, 255, 130, 8);
}

static void what_cannot_be_read_is_refused_by_its_depth(void **state)
{
	static const struct {
		unsigned bits;
		uint32_t red, green, blue;
	} bad[] = {
		{8, 0xe0, 0x1c, 0x03},          /* too small */
		{24, 0xff0000, 0xff00, 0xff},   /* not aligned */
		{32, 0, 0xff00, 0xff},          /* no red */
		{32, 0xff0000, 0xff00, 0xff00}, /* twice the same */
		{32, 0xf0f000, 0x0f00, 0xff},   /* holes */
		{32, 0xffe00000, 0xff00, 0xff}, /* 11 bits */
		{16, 0xff0000, 0xff00, 0xff},   /* outside the pixel */
	};
	static struct pixel_format format;
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(pixel_format_init(&format, 9, bad[i].bits, false, bad[i].red,
						   bad[i].green, bad[i].blue, &err),
				 -1);
		assert_int_equal(err.code, ERR_UNSUPPORTED);
		assert_non_null(strstr(err.message, "depth 9"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(channels_are_found_in_any_order),
		cmocka_unit_test(other_depths_reach_from_black_to_white),
		cmocka_unit_test(what_cannot_be_read_is_refused_by_its_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
