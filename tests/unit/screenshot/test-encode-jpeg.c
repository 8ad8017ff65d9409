#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <turbojpeg.h>

#include "common/cleanup.h"
#include "screenshot/encode.h"

static void check_size(int width, int height)
{
	AUTO(image_freep) struct image *image = NULL;
	AUTO(free_p) uint8_t *pixels = malloc((size_t)width * (size_t)height * 4);
	AUTO(buf_done) struct buf file = {0};
	struct error err = {0};
	tjhandle handle = tjInitDecompress();
	int w, h, subsampling, colours;
	unsigned char *data;

	assert_int_equal(image_new(&image, (unsigned)width, (unsigned)height, &err), 0);
	for (int y = 0; y < height; y++) {
		for (int x = 0; x < width; x++) {
			uint8_t *pixel = image_row(image, (unsigned)y) + x * 4;

			pixel[0] = 200;
			pixel[1] = (uint8_t)(100 + x / 4);
			pixel[2] = (uint8_t)(20 + y / 4);
		}
	}
	assert_int_equal(encode_jpeg(image, &file, &err), 0);
	data = (unsigned char *)file.data;
	assert_int_equal(
		tjDecompressHeader3(handle, data, file.len, &w, &h, &subsampling, &colours), 0);
	assert_int_equal(w, width);
	assert_int_equal(h, height);
	assert_int_equal(subsampling, TJSAMP_420);
	assert_int_equal(
		tjDecompress2(handle, data, file.len, pixels, width, 0, height, TJPF_BGRX, 0), 0);
	for (size_t i = 0; i < (size_t)width * (size_t)height; i++) {
		for (size_t c = 0; c < 3; c++)
			assert_in_range(pixels[i * 4 + c] - image->pixels[i * 4 + c] + 12, 0, 24);
	}
	(void)tjDestroy(handle);
}

static void what_is_read_back_looks_the_same(void **state)
{
	(void)state;
	check_size(1, 1);
	check_size(3, 5);
	check_size(160, 90);
	check_size(101, 67);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_back_looks_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
