#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <png.h>

#include "common/cleanup.h"
#include "screenshot/encode.h"

/* libpng reads what we wrote, and checks the checksums on the way. */
static uint8_t *decode(const struct buf *file, unsigned width, unsigned height)
{
	png_image png = {.version = PNG_IMAGE_VERSION};
	uint8_t *pixels;

	assert_true(png_image_begin_read_from_memory(&png, file->data, file->len));
	assert_int_equal(png.width, width);
	assert_int_equal(png.height, height);
	assert_int_equal(png.format, PNG_FORMAT_RGB);
	png.format = PNG_FORMAT_BGR;
	pixels = malloc(PNG_IMAGE_SIZE(png));
	assert_non_null(pixels);
	assert_true(png_image_finish_read(&png, NULL, pixels, 0, NULL));
	assert_int_equal(png.warning_or_error, 0);
	return pixels;
}

static void check(const struct image *image)
{
	AUTO(buf_done) struct buf file = {0};
	AUTO(free_p) uint8_t *pixels = NULL;
	struct error err = {0};

	assert_int_equal(encode_png(image, &file, &err), 0);
	pixels = decode(&file, image->width, image->height);
	for (unsigned y = 0; y < image->height; y++) {
		for (unsigned x = 0; x < image->width; x++)
			assert_memory_equal(image_row(image, y) + x * 4,
					    pixels + ((size_t)y * image->width + x) * 3, 3);
	}
}

/* Gradients and repeated rows as well as noise, so that each filter is chosen somewhere. */
static void fill(struct image *image, int kind)
{
	for (unsigned y = 0; y < image->height; y++) {
		for (unsigned x = 0; x < image->width; x++) {
			uint8_t *pixel = image_row(image, y) + x * 4;

			for (unsigned c = 0; c < 4; c++)
				pixel[c] = (uint8_t)(kind == 0   ? 0
						     : kind == 1 ? x * 3 + c
						     : kind == 2 ? y * 5 + c * 9
						     : kind == 3 ? x * y + c
						     : kind == 4 ? (x * x + y * y) / 8
								 : (unsigned)rand() >> 5);
		}
	}
}

static void what_is_written_is_read_back(void **state)
{
	static const unsigned sizes[][2] = {{1, 1},  {2, 1},   {1, 2},   {3, 3},
					    {17, 5}, {64, 64}, {101, 67}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int kind = 0; kind < 6; kind++) {
			AUTO(image_freep) struct image *image = NULL;
			struct error err = {0};

			assert_int_equal(image_new(&image, sizes[i][0], sizes[i][1], &err), 0);
			fill(image, kind);
			check(image);
		}
	}
}

static void a_file_is_appended_to_what_is_there(void **state)
{
	AUTO(image_freep) struct image *image = NULL;
	AUTO(buf_done) struct buf file = {0};
	struct error err = {0};

	(void)state;
	assert_int_equal(image_new(&image, 2, 2, &err), 0);
	fill(image, 0);
	assert_int_equal(buf_append_text(&file, "before", &err), 0);
	assert_int_equal(encode_png(image, &file, &err), 0);
	assert_memory_equal(file.data, "before\x89PNG", 10);
	assert_memory_equal(file.data + file.len - 8, "IEND", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(a_file_is_appended_to_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
