#include "screenshot/png-kernels.h"

#include <stdlib.h>
#include <string.h>

#include "screenshot/image.h"

static void to_rgb(uint8_t *out, const uint8_t *pixels, unsigned n_pixels)
{
	for (unsigned i = 0; i < n_pixels; i++) {
		out[0] = pixels[2];
		out[1] = pixels[1];
		out[2] = pixels[0];
		out += PNG_PIXEL_BYTES;
		pixels += IMAGE_PIXEL_BYTES;
	}
}

static uint8_t paeth(uint8_t left, uint8_t above, uint8_t corner)
{
	int to_left = abs(above - corner), to_above = abs(left - corner);
	int to_corner = abs(left + above - 2 * corner);

	if (to_left <= to_above && to_left <= to_corner)
		return left;
	return to_above <= to_corner ? above : corner;
}

/* One loop per filter, so that the compiler can make vectors of them. */
static void apply(enum png_filter filter, uint8_t *restrict out, const uint8_t *restrict row,
		  const uint8_t *restrict above, size_t len)
{
	const uint8_t *left = row - PNG_PIXEL_BYTES, *corner = above - PNG_PIXEL_BYTES;

	switch (filter) {
	case PNG_FILTER_ROW_SUB:
		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)(row[i] - left[i]);
		break;
	case PNG_FILTER_ROW_UP:
		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)(row[i] - above[i]);
		break;
	case PNG_FILTER_ROW_AVERAGE:
		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)(row[i] - (left[i] + above[i]) / 2);
		break;
	case PNG_FILTER_ROW_PAETH:
		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)(row[i] - paeth(left[i], above[i], corner[i]));
		break;
	default:
		memcpy(out, row, len);
	}
}

static unsigned magnitude(int difference)
{
	uint8_t byte = (uint8_t)difference;

	return byte < 128 ? byte : 256u - byte;
}

static void weigh(uint64_t ret_sums[PNG_FILTER_ROW_COUNT], const uint8_t *row, const uint8_t *above,
		  size_t len)
{
	const uint8_t *left = row - PNG_PIXEL_BYTES, *corner = above - PNG_PIXEL_BYTES;
	uint64_t sums[PNG_FILTER_ROW_COUNT] = {0};

	for (size_t i = 0; i < len; i++) {
		sums[PNG_FILTER_ROW_NONE] += magnitude(row[i]);
		sums[PNG_FILTER_ROW_SUB] += magnitude(row[i] - left[i]);
		sums[PNG_FILTER_ROW_UP] += magnitude(row[i] - above[i]);
		sums[PNG_FILTER_ROW_AVERAGE] += magnitude(row[i] - (left[i] + above[i]) / 2);
		sums[PNG_FILTER_ROW_PAETH] +=
			magnitude(row[i] - paeth(left[i], above[i], corner[i]));
	}
	memcpy(ret_sums, sums, sizeof(sums));
}

const struct png_kernels png_kernels_plain = {"plain", to_rgb, weigh, apply};

const struct png_kernels *png_kernels_best(void)
{
	const struct png_kernels *avx2 = png_kernels_avx2();

	return avx2 ? avx2 : &png_kernels_plain;
}
