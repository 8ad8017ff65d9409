#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "screenshot/scale.h"

static struct image *noise(unsigned width, unsigned height)
{
	struct error err = {0};
	struct image *image;

	assert_int_equal(image_new(&image, width, height, &err), 0);
	for (size_t i = 0; i < image->stride * height; i++)
		image->pixels[i] = (uint8_t)(rand() >> 7);
	return image;
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
	AUTO(image_freep) struct image *scaled = NULL;
	struct error err = {0};

	assert_int_equal(scale_area(image, to_width, to_height, &scaled, &err), 0);
	assert_int_equal(scaled->width, to_width);
	assert_int_equal(scaled->height, to_height);
	assert_is_area_average(image, scaled);
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
	for (int i = 0; i < 300; i++) {
		unsigned width = 1 + (unsigned)rand() % 60, height = 1 + (unsigned)rand() % 60;

		check_size(width, height, 1 + (unsigned)rand() % width,
			   1 + (unsigned)rand() % height);
	}
}

static void the_longest_sides_do_not_overflow(void **state)
{
	AUTO(image_freep) struct image *image = NULL;
	AUTO(image_freep) struct image *scaled = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(image_new(&image, IMAGE_MAX_SIDE, 3, &err), 0);
	for (size_t i = 0; i < image->stride * 3; i++)
		image->pixels[i] = 255;
	assert_int_equal(scale_area(image, IMAGE_MAX_SIDE - 1, 2, &scaled, &err), 0);
	for (size_t i = 0; i < scaled->stride * 2; i++)
		assert_int_equal(scaled->pixels[i], 255);
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
		cmocka_unit_test(the_longest_sides_do_not_overflow),
		cmocka_unit_test(a_picture_fits_its_bounds_and_keeps_its_proportions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
