#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "screenshot/png-kernels.h"

#define PIXELS_MAX 300

/* Bytes of the kinds that decide between filters: anything, extremes, nearly the same. */
static void fill(uint8_t *bytes, size_t len, int kind)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(kind == 0   ? rand() >> 7
				     : kind == 1 ? -(rand() >> 7 & 1)
						 : 100 + (rand() >> 7) % 5);
}

/* Of exactly that size, with the zeros before it, so that a sanitizer sees what is read beyond. */
static uint8_t *new_row(size_t len, int kind)
{
	uint8_t *row = calloc(1, PNG_PIXEL_BYTES + len);

	assert_non_null(row);
	fill(row + PNG_PIXEL_BYTES, len, kind);
	return row;
}

static void check_filters(const struct png_kernels *other, size_t len, int kind)
{
	AUTO(free_p) uint8_t *row = new_row(len, kind);
	AUTO(free_p) uint8_t *above = new_row(len, kind);
	AUTO(free_p) uint8_t *plain_out = malloc(len);
	AUTO(free_p) uint8_t *other_out = malloc(len);
	uint64_t plain_sums[PNG_FILTER_ROW_COUNT], other_sums[PNG_FILTER_ROW_COUNT];

	assert_true(plain_out && other_out);
	png_kernels_plain.weigh(plain_sums, row + PNG_PIXEL_BYTES, above + PNG_PIXEL_BYTES, len);
	other->weigh(other_sums, row + PNG_PIXEL_BYTES, above + PNG_PIXEL_BYTES, len);
	assert_memory_equal(plain_sums, other_sums, sizeof(plain_sums));
	for (int i = 0; i < PNG_FILTER_ROW_COUNT; i++) {
		enum png_filter filter = (enum png_filter)i;
		uint64_t sum = 0;

		png_kernels_plain.apply(filter, plain_out, row + PNG_PIXEL_BYTES,
					above + PNG_PIXEL_BYTES, len);
		other->apply(filter, other_out, row + PNG_PIXEL_BYTES, above + PNG_PIXEL_BYTES,
			     len);
		assert_memory_equal(plain_out, other_out, len);
		for (size_t at = 0; at < len; at++)
			sum += (uint64_t)abs((int8_t)plain_out[at]);
		assert_int_equal(sum, plain_sums[i]);
	}
}

static void check_colours(const struct png_kernels *other, unsigned n)
{
	size_t len = (size_t)n * PNG_PIXEL_BYTES;
	AUTO(free_p) uint8_t *pixels = malloc((size_t)n * 4);
	AUTO(free_p) uint8_t *plain_out = malloc(len);
	AUTO(free_p) uint8_t *other_out = malloc(len);

	assert_true(pixels && plain_out && other_out);
	fill(pixels, (size_t)n * 4, 0);
	png_kernels_plain.to_rgb(plain_out, pixels, n);
	other->to_rgb(other_out, pixels, n);
	assert_memory_equal(plain_out, other_out, len);
}

static void every_processor_gets_the_same_bytes(void **state)
{
	const struct png_kernels *other = png_kernels_avx2();

	(void)state;
	if (!other)
		skip();
	for (int i = 0; i < 2000; i++) {
		unsigned n = 1 + (unsigned)rand() % PIXELS_MAX;

		check_filters(other, (size_t)n * PNG_PIXEL_BYTES, i % 3);
		check_colours(other, n);
	}
}

/* The kernels for this processor are those that the encoder's own test goes through. */
static void the_plain_ones_are_always_there(void **state)
{
	(void)state;
	check_filters(&png_kernels_plain, 100 * PNG_PIXEL_BYTES, 0);
	assert_non_null(png_kernels_best());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_processor_gets_the_same_bytes),
		cmocka_unit_test(the_plain_ones_are_always_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
