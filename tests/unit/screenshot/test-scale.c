#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "screenshot/scale.h"

static const struct scale_kernels *kernels[] = {&scale_kernels_plain, NULL};

static struct image *noise(unsigned width, unsigned height)
{
	struct error err = {0};
	struct image *image;

	assert_int_equal(image_new(&image, width, height, &err), 0);
	for (size_t i = 0; i < image->stride * height; i++)
		image->pixels[i] = (uint8_t)(rand() >> 7);
	return image;
}

static unsigned up_to(unsigned max)
{
	return 1 + (unsigned)rand() % max;
}

/* The rows come in bands of any height, each from memory of its own size, with a stride of its own,
 * so that a sanitizer sees what is read beyond. */
static struct image *scale_with(const struct scale_kernels *k, const struct image *image,
				unsigned width, unsigned height)
{
	AUTO(scaler_freep) struct scaler *scaler = NULL;
	struct error err = {0};

	assert_int_equal(scaler_new(&scaler, image->width, image->height, width, height, k, &err),
			 0);
	for (unsigned y = 0, n; y < image->height; y += n) {
		size_t stride = image->stride + (unsigned)rand() % 3 * 4;
		AUTO(free_p) uint8_t *rows = NULL;

		n = rand() % 4 == 0 ? 1 : up_to(image->height);
		n = n < image->height - y ? n : image->height - y;
		rows = malloc(stride * (n - 1) + image->stride);
		assert_non_null(rows);
		for (unsigned i = 0; i < n; i++)
			memcpy(rows + i * stride, image_row(image, y + i), image->stride);
		scaler_add(scaler, rows, stride, n);
	}
	return scaler_take(scaler);
}

static double overlap(double begin, double end, unsigned pixel)
{
	double from = fmax(begin, pixel), to = fmin(end, pixel + 1.0);

	return fmax(0, to - from);
}

/* The definition, in floating point: the average over the area that a pixel covers. */
static double area_average(const struct image *image, double x0, double x1, double y0, double y1,
			   unsigned channel)
{
	double sum = 0;

	for (unsigned y = (unsigned)y0; y < image->height && y < y1; y++) {
		for (unsigned x = (unsigned)x0; x < image->width && x < x1; x++)
			sum += overlap(x0, x1, x) * overlap(y0, y1, y) *
			       image_row(image, y)[x * 4 + channel];
	}
	return sum / ((x1 - x0) * (y1 - y0));
}

static void assert_is_area_average(const struct image *image, const struct image *scaled)
{
	double step_x = (double)image->width / scaled->width;
	double step_y = (double)image->height / scaled->height;

	for (unsigned y = 0; y < scaled->height; y++) {
		for (unsigned x = 0; x < scaled->width; x++) {
			for (unsigned c = 0; c < 3; c++) {
				double expected = area_average(image, x * step_x, (x + 1) * step_x,
							       y * step_y, (y + 1) * step_y, c);

				/* half a step is what rounding costs */
				assert_true(fabs(expected - image_row(scaled, y)[x * 4 + c]) <
					    0.5 + 1e-6);
			}
		}
	}
}

static void check_size(unsigned width, unsigned height, unsigned to_width, unsigned to_height)
{
	AUTO(image_freep) struct image *image = noise(width, height);

	for (size_t i = 0; i < ARRAY_SIZE(kernels) && kernels[i]; i++) {
		AUTO(image_freep)
		struct image *scaled = scale_with(kernels[i], image, to_width, to_height);

		assert_int_equal(scaled->width, to_width);
		assert_int_equal(scaled->height, to_height);
		assert_is_area_average(image, scaled);
	}
}

static void every_pixel_is_the_average_of_its_area(void **state)
{
	(void)state;
	check_size(1, 1, 1, 1);
	check_size(7, 5, 1, 1);
	check_size(7, 5, 7, 5);
	check_size(7, 5, 7, 1);
	check_size(7, 5, 1, 5);
	check_size(101, 67, 100, 66);
	check_size(192, 108, 16, 10);
	check_size(333, 217, 111, 31);
	for (int i = 0; i < 150; i++) {
		unsigned width = up_to(60), height = up_to(60);

		check_size(width, height, up_to(width), up_to(height));
	}
}

/* A white picture as large as can be: all of its rows are the same one in memory. */
static void check_white(unsigned width, unsigned height, unsigned to_width, unsigned to_height)
{
	AUTO(free_p) uint8_t *row = malloc((size_t)width * IMAGE_PIXEL_BYTES);

	assert_non_null(row);
	memset(row, 255, (size_t)width * IMAGE_PIXEL_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(kernels) && kernels[i]; i++) {
		AUTO(scaler_freep) struct scaler *scaler = NULL;
		AUTO(image_freep) struct image *scaled = NULL;
		struct error err = {0};

		assert_int_equal(
			scaler_new(&scaler, width, height, to_width, to_height, kernels[i], &err),
			0);
		scaler_add(scaler, row, 0, height);
		scaled = scaler_take(scaler);
		for (size_t j = 0; j < scaled->stride * to_height; j++)
			assert_int_equal(scaled->pixels[j], 255);
	}
}

static void the_longest_sides_do_not_overflow(void **state)
{
	(void)state;
	check_white(IMAGE_MAX_SIDE, 3, IMAGE_MAX_SIDE - 1, 2);
	check_white(3, IMAGE_MAX_SIDE, 2, IMAGE_MAX_SIDE - 1);
	/* more than 32 bits in total, and in the sum of whole columns alone */
	check_white(SCALE_WHOLE_SUMS_MAX + 76, IMAGE_MAX_SIDE, 1, 1);
	check_white(IMAGE_MAX_SIDE, 1100, 3, 2);
	/* the largest sums of 16 bits, of the largest weights, and the most to divide by */
	check_white(127, SCALE_NARROW_HEIGHT_MAX, 1, 1);
	check_white(127, SCALE_NARROW_HEIGHT_MAX, 126, SCALE_NARROW_HEIGHT_MAX - 1);
	check_white(SCALE_NARROW_AREA_MAX, 1, 1, 1);
	check_white(SCALE_NARROW_AREA_MAX, 1, SCALE_NARROW_AREA_MAX - 1, 1);
}

static void assert_same(const struct image *one, const struct image *other)
{
	assert_memory_equal(one->pixels, other->pixels, one->stride * one->height);
}

static void compare(unsigned width, unsigned height, unsigned to_width, unsigned to_height)
{
	AUTO(image_freep) struct image *image = noise(width, height);
	AUTO(image_freep) struct image *plain = scale_with(kernels[0], image, to_width, to_height);
	AUTO(image_freep) struct image *other = scale_with(kernels[1], image, to_width, to_height);

	assert_same(plain, other);
}

/* Larger than what the definition can be asked about in a moment: odd sizes, all ratios. */
static void every_processor_gets_the_same_bits(void **state)
{
	(void)state;
	if (!kernels[1])
		skip();
	for (int i = 0; i < 60; i++) {
		unsigned width = up_to(i % 8 ? 700 : 5000), height = up_to(i % 8 ? 500 : 60);

		compare(width, height, up_to(width), up_to(height));
	}
	/* As screens and their pictures are: with a large common divisor. */
	for (int i = 0; i < 60; i++) {
		unsigned across = up_to(100), down = up_to(SCALE_NARROW_AREA_MAX / 100);
		unsigned n_across = up_to(700 / across), n_down = up_to(500 / down);

		compare(across * n_across, down * n_down, up_to(across) * n_across,
			up_to(down) * n_down);
	}
}

static void assert_fit(unsigned width, unsigned height, unsigned max_width, unsigned max_height,
		       unsigned expected_width, unsigned expected_height)
{
	unsigned w, h;

	scale_fit(width, height, max_width, max_height, &w, &h);
	assert_int_equal(w, expected_width);
	assert_int_equal(h, expected_height);
}

static void a_picture_fits_its_bounds_and_keeps_its_proportions(void **state)
{
	(void)state;
	assert_fit(1920, 1080, 0, 0, 1920, 1080);
	assert_fit(1920, 1080, 4000, 4000, 1920, 1080);
	assert_fit(1920, 1080, 160, 100, 160, 90);
	assert_fit(1920, 1080, 0, 100, 178, 100);
	assert_fit(1920, 1080, 160, 0, 160, 90);
	assert_fit(1920, 1080, 1, 1, 1, 1);
	assert_fit(10000, 1, 100, 100, 100, 1);
	assert_fit(1, 10000, 100, 100, 1, 100);
	for (int i = 0; i < 100000; i++) {
		unsigned w, h, width = 1 + (unsigned)rand() % IMAGE_MAX_SIDE;
		unsigned height = 1 + (unsigned)rand() % IMAGE_MAX_SIDE;
		unsigned max_w = (unsigned)rand() % 20000, max_h = (unsigned)rand() % 20000;

		scale_fit(width, height, max_w, max_h, &w, &h);
		assert_in_range(w, 1, max_w ? (max_w < width ? max_w : width) : width);
		assert_in_range(h, 1, max_h ? (max_h < height ? max_h : height) : height);
		/* as large as the bounds allow */
		assert_true(w == width || h == height || w == max_w || h == max_h);
		/* and within half a pixel of the proportions, unless that would be nothing */
		assert_true(w == 1 || h == 1 ||
			    fabs((double)w * height - (double)h * width) <=
				    fmax(width, height) / 2.0 + 1e-6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pixel_is_the_average_of_its_area),
		cmocka_unit_test(every_processor_gets_the_same_bits),
		cmocka_unit_test(the_longest_sides_do_not_overflow),
		cmocka_unit_test(a_picture_fits_its_bounds_and_keeps_its_proportions),
	};

	kernels[1] = scale_kernels_avx2();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
