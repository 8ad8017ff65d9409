/**
 * The loops of PNG's row filters, for several kinds of processors. All give the same bytes.
 *
 * Rows are RGB, PNG_PIXEL_BYTES per pixel. Before the first byte of a row, and of the row above, there
 * are PNG_PIXEL_BYTES zeros to be read: the pixel left of the first one.
 */
#ifndef SCREENSHOT_PNG_KERNELS_H
#define SCREENSHOT_PNG_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define PNG_PIXEL_BYTES 3

/** The numbers that a file has. Source: RFC 2083, chapter 6. */
enum png_filter {
	PNG_FILTER_ROW_NONE,
	PNG_FILTER_ROW_SUB,
	PNG_FILTER_ROW_UP,
	PNG_FILTER_ROW_AVERAGE,
	PNG_FILTER_ROW_PAETH,
	PNG_FILTER_ROW_COUNT
};

struct png_kernels {
	const char *name;
	/** RGB from BGRX. */
	void (*to_rgb)(uint8_t *out, const uint8_t *pixels, unsigned n_pixels);
	/** What each filter would make of a row, as a sum of absolute values of signed bytes. */
	void (*weigh)(uint64_t ret_sums[PNG_FILTER_ROW_COUNT], const uint8_t *row,
		      const uint8_t *above, size_t len);
	void (*apply)(enum png_filter filter, uint8_t *out, const uint8_t *row,
		      const uint8_t *above, size_t len);
};

extern const struct png_kernels png_kernels_plain;

/** NULL unless this processor has AVX2. */
const struct png_kernels *png_kernels_avx2(void);

/** The fastest for this processor. */
const struct png_kernels *png_kernels_best(void);

#endif
