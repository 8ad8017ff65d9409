#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
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

/* A channel by its definition: shifted, and from its own range to 0 to 255, rounded. */
static unsigned expected(uint32_t pixel, uint32_t mask)
{
	double value = pixel & mask;

	return (unsigned)(value * 255 / mask + 0.5);
}

static uint32_t in_order(uint32_t pixel, unsigned bits, bool is_swapped)
{
	if (!is_swapped)
		return pixel;
	return bits == 16 ? __builtin_bswap16((uint16_t)pixel) : __builtin_bswap32(pixel);
}

/* Rows of any width at any address, of any depth, in both byte orders. */
static void rows_of_every_layout_become_bgrx(void **state)
{
	static const struct {
		unsigned depth, bits;
		uint32_t red, green, blue;
	} layouts[] = {
		{15, 16, 0x7c00, 0x3e0, 0x1f},          {16, 16, 0xf800, 0x7e0, 0x1f},
		{24, 32, 0xff0000, 0xff00, 0xff},       {24, 32, 0xff, 0xff00, 0xff0000},
		{30, 32, 0x3ff00000, 0xffc00, 0x3ff},   {30, 32, 0x3ff, 0xffc00, 0x3ff00000},
		{32, 32, 0xff000000, 0xff0000, 0xff00},
	};
	static struct pixel_format format;
	struct error err = {0};

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		unsigned n = 1 + (unsigned)rand() % 40, layout = i % 7, bits = layouts[layout].bits;
		bool is_big_endian = i / 7 % 2;
		size_t offset = (unsigned)rand() % 8, bytes = bits / 8;
		uint8_t *in = malloc(offset + n * bytes), *out = malloc((size_t)n * 4);
		uint32_t pixels[40];

		assert_true(in && out);
		assert_int_equal(pixel_format_init(&format, layouts[layout].depth, bits,
						   is_big_endian, layouts[layout].red,
						   layouts[layout].green, layouts[layout].blue,
						   &err),
				 0);
		for (unsigned x = 0; x < n; x++) {
			uint32_t value;
			uint16_t narrow;

			pixels[x] = (uint32_t)rand() << 8 ^ (uint32_t)rand();
			value = in_order(pixels[x], bits, is_big_endian != IS_BIG_ENDIAN);
			narrow = (uint16_t)in_order(pixels[x] & 0xffff, 16,
						    is_big_endian != IS_BIG_ENDIAN);
			memcpy(in + offset + x * bytes,
			       bits == 16 ? (void *)&narrow : (void *)&value, bytes);
			pixels[x] = bits == 16 ? pixels[x] & 0xffff : pixels[x];
		}
		pixel_format_convert(&format, out, in + offset, n);
		for (unsigned x = 0; x < n; x++) {
			assert_int_equal(out[x * 4], expected(pixels[x], layouts[layout].blue));
			assert_int_equal(out[x * 4 + 1],
					 expected(pixels[x], layouts[layout].green));
			assert_int_equal(out[x * 4 + 2], expected(pixels[x], layouts[layout].red));
		}
		free(in);
		free(out);
	}
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
		cmocka_unit_test(rows_of_every_layout_become_bgrx),
		cmocka_unit_test(what_cannot_be_read_is_refused_by_its_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
